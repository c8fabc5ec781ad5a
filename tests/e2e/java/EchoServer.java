import io.modelcontextprotocol.server.McpServer;
import io.modelcontextprotocol.server.McpServerFeatures.SyncPromptSpecification;
import io.modelcontextprotocol.server.McpServerFeatures.SyncResourceTemplateSpecification;
import io.modelcontextprotocol.server.transport.HttpServletStreamableServerTransportProvider;
import io.modelcontextprotocol.spec.McpSchema;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.apache.catalina.startup.Tomcat;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** The echo server of ../readers/python_echo.py with the Java SDK; arguments are read by Jackson. */
public final class EchoServer {
    private static final JsonMapper JSON = JsonMapper.builder()
        .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
        .disable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
        .build();

    record Who(String user_id) {}

    record Count(int n) {}

    record Share(int x) {}

    record Word(String word) {}

    record Level(Object level) {}

    record Path(String path) {}

    record Org(@com.fasterxml.jackson.annotation.JsonAlias("orgId") String org_id) {}

    record Nested(Org filter) {}

    record Flag(boolean is_admin) {}

    public static void main(String[] arguments) throws Exception {
        var transport = HttpServletStreamableServerTransportProvider.builder().mcpEndpoint("/mcp").build();
        var server = McpServer.sync(transport).serverInfo("echo", "1").validateToolInputs(false);
        server.capabilities(McpSchema.ServerCapabilities.builder().tools(false).prompts(false).resources(false, false).build());
        tool(server, "who", Who.class, in -> in);
        tool(server, "count", Count.class, in -> in);
        tool(server, "least", Count.class, in -> in);
        tool(server, "most", Count.class, in -> in);
        tool(server, "share", Share.class, in -> in);
        tool(server, "word", Word.class, in -> in);
        tool(server, "level", Level.class, EchoServer::lists);
        tool(server, "file", Path.class, in -> in);
        tool(server, "nested", Nested.class, Nested::filter);
        tool(server, "flag", Flag.class, in -> in);
        tool(server, "secret", Map.class, in -> Map.of());
        for (var name : List.of("greet", "hidden_prompt")) {
            var prompt = new McpSchema.Prompt(name, "", List.of());
            server.prompts(new SyncPromptSpecification(prompt, (exchange, request) -> {
                var content = new McpSchema.TextContent(ran(name, Map.of()));
                var message = new McpSchema.PromptMessage(McpSchema.Role.USER, content);
                return new McpSchema.GetPromptResult("", List.of(message));
            }));
        }
        var note = McpSchema.ResourceTemplate.builder("note://{host}/{path}", "note").build();
        server.resourceTemplates(new SyncResourceTemplateSpecification(note, (exchange, request) -> {
            var text = ran("note", Map.of("uri", request.uri()));
            return new McpSchema.ReadResourceResult(
                List.of(new McpSchema.TextResourceContents(request.uri(), "text/plain", text)));
        }));
        server.build();

        var tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[0]);
        tomcat.setHostname("127.0.0.1");
        tomcat.setPort(0);
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        var context = tomcat.addContext("", null);
        Tomcat.addServlet(context, "mcp", transport).setAsyncSupported(true);
        context.addServletMappingDecoded("/*", "mcp");
        tomcat.start();
        var port = tomcat.getConnector().getLocalPort();
        System.out.println("{\"listening\": \"http://127.0.0.1:" + port + "/mcp\"}");
        tomcat.getServer().await();
    }

    private static <T> void tool(
        McpServer.SyncSpecification<?> server, String name, Class<T> type, Function<T, Object> saw) {
        var tool = McpSchema.Tool.builder(name, Map.of("type", "object")).build();
        server.toolCall(tool, (exchange, request) -> {
            var given = request.arguments() == null ? Map.of() : request.arguments();
            var text = ran(name, saw.apply(JSON.convertValue(given, type)));
            return McpSchema.CallToolResult.builder().addTextContent(text).build();
        });
    }

    /** As Spring AI does it: a text that is JSON is taken for the list that a parameter wants. */
    private static Object lists(Level in) {
        var saw = new HashMap<String, Object>();
        saw.put("level", in.level());
        if (in.level() instanceof String text) {
            try {
                saw.put("level", JSON.readValue(text, List.class));
            } catch (JacksonException no) {
                // It stays a text.
            }
        }
        return saw;
    }

    private static String ran(String name, Object saw) {
        return JSON.writeValueAsString(Map.of("ran", name, "saw", saw == null ? Map.of() : saw));
    }
}
