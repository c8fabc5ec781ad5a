// The echo server of ../../readers/python_echo.py with both Go SDKs.
//
//	echo-server (go-sdk | mcp-go)
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"

	gomcp "github.com/mark3labs/mcp-go/mcp"
	goserver "github.com/mark3labs/mcp-go/server"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type saw map[string]any

func ran(name string, saw saw) string {
	told, err := json.Marshal(map[string]any{"ran": name, "saw": saw})
	if err != nil {
		panic(err)
	}
	return string(told)
}

func main() {
	handlers := map[string]func() http.Handler{"go-sdk": goSDK, "mcp-go": mcpGo}
	handler := handlers[os.Args[1]]()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"listening\": \"http://%s/mcp\"}\n", listener.Addr())
	panic(http.Serve(listener, handler))
}

type (
	who struct {
		UserID string `json:"user_id"`
	}
	count struct {
		N int `json:"n"`
	}
	share struct {
		X float64 `json:"x"`
	}
	word struct {
		Word *string `json:"word"`
	}
	level struct {
		Level any `json:"level"`
	}
	file struct {
		Path string `json:"path"`
	}
	filter struct {
		OrgID string `json:"org_id"`
	}
	nested struct {
		Filter filter `json:"filter"`
	}
	flag struct {
		Text    string `json:"text,omitempty"`
		IsAdmin bool   `json:"is_admin,omitempty"`
	}
	none struct {
		Text string `json:"text,omitempty"`
	}
)

func (in who) saw() saw    { return saw{"user_id": in.UserID} }
func (in count) saw() saw  { return saw{"n": in.N} }
func (in share) saw() saw  { return saw{"x": in.X} }
func (in word) saw() saw   { return saw{"word": in.Word} }
func (in level) saw() saw  { return saw{"level": in.Level} }
func (in file) saw() saw   { return saw{"path": in.Path} }
func (in nested) saw() saw { return saw{"org_id": in.Filter.OrgID} }
func (in flag) saw() saw   { return saw{"is_admin": in.IsAdmin} }
func (in none) saw() saw   { return saw{} }

type input interface{ saw() saw }

// With go-sdk: what a typed handler is given.

func goSDK() http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "echo", Version: "1"}, nil)
	typed[who](server, "who")
	typed[count](server, "count")
	typed[count](server, "least")
	typed[count](server, "most")
	typed[share](server, "share")
	typed[word](server, "word")
	typed[level](server, "level")
	typed[file](server, "file")
	typed[nested](server, "nested")
	typed[flag](server, "flag")
	typed[none](server, "secret")
	for _, name := range []string{"greet", "hidden_prompt"} {
		server.AddPrompt(&mcp.Prompt{Name: name}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			content := &mcp.TextContent{Text: ran(name, saw{})}
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: content}}}, nil
		})
	}
	template := &mcp.ResourceTemplate{URITemplate: "note://{host}/{path}", Name: "note"}
	server.AddResourceTemplate(template, func(_ context.Context, request *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		text := ran("note", saw{"uri": request.Params.URI})
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: request.Params.URI, Text: text}}}, nil
	})
	same := func(*http.Request) *mcp.Server { return server }
	legacy := mcp.NewStreamableHTTPHandler(same, nil)
	modern := mcp.NewStreamableHTTPHandler(same, &mcp.StreamableHTTPOptions{Stateless: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Session-Id") == "" && r.Header.Get("Mcp-Method") != "" {
			modern.ServeHTTP(w, r)
			return
		}
		legacy.ServeHTTP(w, r)
	})
}

func typed[In input](server *mcp.Server, name string) {
	mcp.AddTool(server, &mcp.Tool{Name: name}, func(_ context.Context, _ *mcp.CallToolRequest, in In) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: ran(name, in.saw())}}}, nil, nil
	})
}

// With mcp-go: what its readers of single arguments give for numbers, and structs for the others.

func mcpGo() http.Handler {
	server := goserver.NewMCPServer("echo", "1")
	bound[who](server, "who")
	whole(server, "count", "n")
	whole(server, "least", "n")
	whole(server, "most", "n")
	whole(server, "share", "x")
	bound[word](server, "word")
	bound[level](server, "level")
	bound[file](server, "file")
	bound[nested](server, "nested")
	bound[flag](server, "flag")
	bound[none](server, "secret")
	for _, name := range []string{"greet", "hidden_prompt"} {
		server.AddPrompt(gomcp.NewPrompt(name), func(context.Context, gomcp.GetPromptRequest) (*gomcp.GetPromptResult, error) {
			content := gomcp.NewTextContent(ran(name, saw{}))
			return gomcp.NewGetPromptResult("", []gomcp.PromptMessage{gomcp.NewPromptMessage("user", content)}), nil
		})
	}
	template := gomcp.NewResourceTemplate("note://{host}/{path}", "note")
	server.AddResourceTemplate(template, func(_ context.Context, request gomcp.ReadResourceRequest) ([]gomcp.ResourceContents, error) {
		text := ran("note", saw{"uri": request.Params.URI})
		return []gomcp.ResourceContents{gomcp.TextResourceContents{URI: request.Params.URI, Text: text}}, nil
	})
	return goserver.NewStreamableHTTPServer(server)
}

func bound[In input](server *goserver.MCPServer, name string) {
	server.AddTool(gomcp.NewTool(name), func(_ context.Context, request gomcp.CallToolRequest) (*gomcp.CallToolResult, error) {
		var in In
		if err := request.BindArguments(&in); err != nil {
			return nil, err
		}
		return gomcp.NewToolResultText(ran(name, in.saw())), nil
	})
}

func whole(server *goserver.MCPServer, name, argument string) {
	server.AddTool(gomcp.NewTool(name), func(_ context.Context, request gomcp.CallToolRequest) (*gomcp.CallToolResult, error) {
		return gomcp.NewToolResultText(ran(name, saw{argument: request.GetInt(argument, 1)})), nil
	})
}
