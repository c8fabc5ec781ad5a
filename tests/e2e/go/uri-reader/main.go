// What servers of both Go SDKs serve for a URI: a line in is [WORLD, URI], a line out is what each
// of the readers makes of it (see ../../readers/oracles.py).
//
//	uri-reader WORLDS.json <uris >answers
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"

	gomcp "github.com/mark3labs/mcp-go/mcp"
	goserver "github.com/mark3labs/mcp-go/server"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type world struct {
	Fixed   []string          `json:"fixed"`
	RFC6570 map[string]string `json:"rfc6570"`
}

type answer map[string]any

// reader says what is served for a URI; nil where nothing is.
type reader func(uri string) answer

func main() {
	var worlds map[string]world
	file, err := os.ReadFile(os.Args[1])
	check(err)
	check(json.Unmarshal(file, &worlds))
	readers := map[string]map[string]reader{}
	for key, world := range worlds {
		readers[key] = map[string]reader{"go-sdk": goSDK(world), "mcp-go": mcpGo(world), "net/url": parsed}
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var question [2]string
		check(json.Unmarshal(lines.Bytes(), &question))
		answers := map[string]answer{}
		for name, read := range readers[question[0]] {
			if told := read(question[1]); told != nil {
				answers[name] = told
			}
		}
		told, err := json.Marshal(answers)
		check(err)
		fmt.Fprintln(out, string(told))
	}
	check(lines.Err())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// parsed is what a handler gets that takes the URI apart by itself, as those of go-sdk do.
func parsed(uri string) answer {
	parts, err := url.Parse(uri)
	if err != nil {
		return nil
	}
	return answer{"url": map[string]string{
		"scheme": parts.Scheme,
		"host":   parts.Hostname(),
		"port":   parts.Port(),
		"path":   parts.Path,
		"query":  parts.RawQuery,
	}}
}

func goSDK(world world) reader {
	server := mcp.NewServer(&mcp.Implementation{Name: "uris", Version: "1"}, nil)
	found := func(name string) mcp.ResourceHandler {
		return func(_ context.Context, request *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			contents := []*mcp.ResourceContents{{URI: request.Params.URI, Text: name}}
			return &mcp.ReadResourceResult{Contents: contents}, nil
		}
	}
	for _, uri := range world.Fixed {
		server.AddResource(&mcp.Resource{URI: uri, Name: uri}, found(uri))
	}
	for name, template := range world.RFC6570 {
		server.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: template, Name: name}, found(name))
	}
	background := context.Background()
	connect := func() *mcp.ClientSession {
		ours, theirs := mcp.NewInMemoryTransports()
		_, err := server.Connect(background, theirs, nil)
		check(err)
		client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
		session, err := client.Connect(background, ours, nil)
		check(err)
		return session
	}
	session := connect()
	return func(uri string) answer {
		result, err := session.ReadResource(background, &mcp.ReadResourceParams{URI: uri})
		var refused *jsonrpc.Error
		if err != nil && !errors.As(err, &refused) {
			// A NUL ends the session.
			session = connect()
		}
		if err != nil {
			return nil
		}
		told := parsed(uri)
		if told == nil {
			told = answer{}
		}
		told["name"] = result.Contents[0].Text
		return told
	}
}

func mcpGo(world world) reader {
	server := goserver.NewMCPServer("uris", "1", goserver.WithResourceCapabilities(false, false))
	found := func(name string) func(context.Context, gomcp.ReadResourceRequest) ([]gomcp.ResourceContents, error) {
		return func(_ context.Context, request gomcp.ReadResourceRequest) ([]gomcp.ResourceContents, error) {
			told, err := json.Marshal(answer{"name": name, "vars": joined(request.Params.Arguments), "decoded": true})
			return []gomcp.ResourceContents{gomcp.TextResourceContents{URI: request.Params.URI, Text: string(told)}}, err
		}
	}
	for _, uri := range world.Fixed {
		server.AddResource(gomcp.NewResource(uri, uri), found(uri))
	}
	for name, template := range world.RFC6570 {
		server.AddResourceTemplate(gomcp.NewResourceTemplate(template, name), found(name))
	}
	return func(uri string) answer {
		request, err := json.Marshal(answer{
			"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": answer{"uri": uri},
		})
		check(err)
		response, ok := server.HandleMessage(context.Background(), request).(gomcp.JSONRPCResponse)
		if !ok {
			return nil
		}
		result := response.Result.(gomcp.ReadResourceResult)
		var told answer
		check(json.Unmarshal([]byte(result.Contents[0].(gomcp.TextResourceContents).Text), &told))
		return told
	}
}

// joined has each variable as one text: a simple one holds a list.
func joined(variables map[string]any) map[string]string {
	out := map[string]string{}
	for name, value := range variables {
		list, ok := value.([]string)
		if !ok {
			out[name] = fmt.Sprint(value)
			continue
		}
		for i, item := range list {
			if i > 0 {
				out[name] += ","
			}
			out[name] += item
		}
	}
	return out
}
