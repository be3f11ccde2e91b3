// A relay as it is usually written in Go: gorilla/websocket in front, TCP behind, a goroutine a direction.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/gorilla/websocket"
)

const bufferSize = 64 * 1024

var upgrader = websocket.Upgrader{
	ReadBufferSize:  bufferSize,
	WriteBufferSize: bufferSize,
	Subprotocols:    []string{"binary"},
	CheckOrigin:     func(*http.Request) bool { return true },
}

// toClient sends each read of the VNC server as one frame.
func toClient(browser *websocket.Conn, server net.Conn) {
	buffer := make([]byte, bufferSize)
	for {
		size, err := server.Read(buffer)
		if size > 0 {
			if browser.WriteMessage(websocket.BinaryMessage, buffer[:size]) != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// toServer passes the browser's messages on as they come.
func toServer(browser *websocket.Conn, server net.Conn) {
	for {
		_, message, err := browser.NextReader()
		if err != nil {
			return
		}
		if _, err := io.Copy(server, message); err != nil {
			return
		}
	}
}

func main() {
	listen := flag.String("listen", "", "address and port to listen on")
	target := flag.String("target", "", "address and port of the VNC server")
	cert := flag.String("cert", "", "certificate, for TLS")
	key := flag.String("key", "", "its key")
	flag.Parse()
	http.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		server, err := net.Dial("tcp", *target)
		if err != nil {
			http.Error(writer, "The VNC server does not answer.", http.StatusBadGateway)
			return
		}
		defer server.Close()
		browser, err := upgrader.Upgrade(writer, request, nil)
		if err != nil {
			return
		}
		defer browser.Close()
		go func() {
			defer server.Close()
			defer browser.Close()
			toServer(browser, server)
		}()
		toClient(browser, server)
	})
	if *cert != "" {
		log.Fatal(http.ListenAndServeTLS(*listen, *cert, *key, nil))
	}
	log.Fatal(http.ListenAndServe(*listen, nil))
}
