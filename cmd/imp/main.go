// Command imp is a toolbox for SIP presence and messaging.
package main

import (
	"os"

	"imp/internal/cli"
)

func main() { os.Exit(cli.Main()) }
