package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// settings is what login keeps, in a file that only its owner may read.
type settings struct {
	APIURL string `json:"api_url"`
	Token  string `json:"token"`
	Email  string `json:"email"`
}

const defaultAPIURL = "http://127.0.0.1:5000"

// settingsFile is $XDG_CONFIG_HOME/paas/credentials.json.
func settingsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("cannot find where settings are kept: %w", err)
	}
	return filepath.Join(dir, "paas", "credentials.json"), nil
}

// loadSettings reads the file; PAAS_API_URL and PAAS_API_KEY win, for scripts.
func loadSettings() (settings, error) {
	var s settings
	file, err := settingsFile()
	if err == nil {
		b, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return s, fmt.Errorf("cannot read settings: %w", err)
		}
		if err == nil {
			if err := json.Unmarshal(b, &s); err != nil {
				return s, fmt.Errorf("cannot read %s (log in again: paas login): %w", file, err)
			}
		}
	}
	if v := os.Getenv("PAAS_API_URL"); v != "" {
		s.APIURL = v
	}
	if v := os.Getenv("PAAS_API_KEY"); v != "" {
		s.Token = v
	}
	if s.APIURL == "" {
		s.APIURL = defaultAPIURL
	}
	return s, nil
}

func (s settings) save() error {
	file, err := settingsFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot save settings: %w", err)
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot save settings: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".credentials-*")
	if err != nil {
		return fmt.Errorf("cannot save settings: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("cannot save settings: %w", err)
	}
	return nil
}
