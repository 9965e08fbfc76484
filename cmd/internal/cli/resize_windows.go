package cli

import "os"

// sizeChanges never gets a value: a Windows console sends no signal. A remote
// program keeps the size that the window had at its start.
func sizeChanges() (<-chan os.Signal, func()) { return nil, func() {} }
