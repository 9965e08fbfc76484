package main

import (
	"fmt"
	"runtime"

	"github.com/google/uuid"
)

var commit = "none"

func main() { fmt.Println("hello", commit, runtime.Version(), uuid.Nil) }
