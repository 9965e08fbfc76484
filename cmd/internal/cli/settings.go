package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"paas/api/client"
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

// savedSettings reads the file; without one there is no login.
func savedSettings() (settings, error) {
	s := settings{APIURL: defaultAPIURL}
	file, err := settingsFile()
	if err != nil {
		return s, nil // no home: the environment may still say everything
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("cannot read settings: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("cannot read settings (remove %s and log in again): %w", file, err)
	}
	return s, nil
}

// loadSettings is what is saved, unless PAAS_API_URL and PAAS_API_KEY say
// something else, for scripts.
func loadSettings() (settings, error) {
	s, err := savedSettings()
	if err != nil {
		return s, err
	}
	if v := os.Getenv("PAAS_API_URL"); v != "" && v != s.APIURL {
		s = settings{APIURL: v} // a token is only for the server that gave it
	}
	if v := os.Getenv("PAAS_API_KEY"); v != "" {
		s.Token = v
	}
	return s, nil
}

// LoggedIn is a client of the platform that the CLI is logged in to, for
// programs that work beside it.
func LoggedIn(agent string) (*client.Client, error) {
	s, err := loadSettings()
	if err != nil {
		return nil, err
	}
	if s.Token == "" {
		return nil, errors.New("not logged in: paas login")
	}
	return client.New(s.APIURL, s.Token, agent)
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
