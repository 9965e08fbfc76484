// Command server is an app for tests.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	version, err := os.ReadFile("VERSION")
	if err != nil {
		fmt.Println("cannot read VERSION:", err)
		os.Exit(3)
	}
	text := strings.TrimSpace(string(version)) + " " + os.Getenv("GREETING") + "\n"
	if strings.HasPrefix(text, "broken") {
		fmt.Println("this version does not start")
		os.Exit(4)
	}
	http.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Second)
		fmt.Fprint(w, text)
	})
	http.HandleFunc("/dyno", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, os.Getenv("DYNO"), os.Getenv("HEROKU_DYNO_ID"))
	})
	http.HandleFunc("/log", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.URL.Query().Get("line"))
		fmt.Fprintln(w, "logged")
	})
	http.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	if err := http.ListenAndServe(":"+os.Getenv("PORT"), nil); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
