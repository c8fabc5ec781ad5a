import io.modelcontextprotocol.util.DefaultMcpUriTemplateManager;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/**
 * What a server of the Java SDK serves for a URI: a line in is [WORLD, URI], a line out is what each
 * of the readers makes of it (see ../readers/oracles.py).
 *
 * <p>{@code java UriReader WORLDS.json <uris >answers}
 */
public final class UriReader {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final List<String> fixed;
    private final Map<String, List<DefaultMcpUriTemplateManager>> templates = new LinkedHashMap<>();

    private UriReader(JsonNode world) {
        fixed = world.get("fixed").valueStream().map(JsonNode::stringValue).toList();
        world.get("segments").properties().forEach(template -> {
            var all = template.getValue().valueStream().map(JsonNode::stringValue);
            templates.put(template.getKey(), all.map(DefaultMcpUriTemplateManager::new).toList());
        });
    }

    public static void main(String[] arguments) throws Exception {
        var readers = new HashMap<String, UriReader>();
        JSON.readTree(new File(arguments[0])).properties()
            .forEach(world -> readers.put(world.getKey(), new UriReader(world.getValue())));
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            var question = JSON.readTree(line);
            var uri = question.get(1).stringValue();
            var answers = new HashMap<String, Map<String, Object>>();
            var served = readers.get(question.get(0).stringValue()).served(uri);
            if (served != null) {
                answers.put("Java SDK", served);
            }
            var parsed = parsed(uri);
            if (parsed != null) {
                answers.put("java.net.URI", Map.of("url", parsed));
            }
            out.println(JSON.writeValueAsString(answers));
        }
        out.flush();
    }

    /** The resource itself, else the first template that matches, as McpAsyncServer does it. */
    private Map<String, Object> served(String uri) {
        if (fixed.contains(uri)) {
            return Map.of("name", uri, "vars", Map.of());
        }
        for (var entry : templates.entrySet()) {
            for (var template : entry.getValue()) {
                if (template.matches(uri)) {
                    return Map.of("name", entry.getKey(), "vars", template.extractVariableValues(uri));
                }
            }
        }
        return null;
    }

    private static Map<String, String> parsed(String text) {
        try {
            var uri = new URI(text);
            // Where Java sees no host name, as in team-, there is the authority.
            var authority = text(uri.getRawAuthority()).replaceFirst(":[0-9]+$", "");
            return Map.of(
                "scheme", text(uri.getScheme()),
                "host", uri.getHost() == null ? authority : uri.getHost(),
                "port", uri.getPort() < 0 ? "" : String.valueOf(uri.getPort()),
                "path", text(uri.getRawPath()),
                "query", text(uri.getRawQuery()));
        } catch (URISyntaxException bad) {
            return null;
        }
    }

    private static String text(String part) {
        return part == null ? "" : part;
    }
}
