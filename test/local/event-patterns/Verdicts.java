import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.StringJoiner;
import software.amazon.event.ruler.Machine;

/** Asks event-ruler about each case of the table that its first argument names, and writes the verdicts into it. */
public class Verdicts {
  public static void main(String[] arguments) throws Exception {
    ObjectMapper mapper = new ObjectMapper();
    File file = new File(arguments[0]);
    JsonNode table = mapper.readTree(file);
    StringJoiner lines = new StringJoiner(",\n    ", "{\n  \"made_by\": " + table.get("made_by") + ",\n  \"version\": "
        + table.get("version") + ",\n  \"cases\": [\n    ", "\n  ]\n}\n");
    for (JsonNode one : table.get("cases")) {
      Object verdict = verdictOf(one.get("pattern").toString(), one.get("event").toString());
      ((ObjectNode) one).set("verdict", mapper.valueToTree(verdict));
      lines.add(one.toString());
    }
    Files.writeString(Path.of(arguments[0]), lines.toString());
  }

  private static Object verdictOf(String pattern, String event) throws Exception {
    Machine machine = Machine.builder().build();
    try {
      machine.addRule("rule", pattern);
    } catch (Exception refused) {
      if (System.getenv("SHOW") != null) System.err.println(pattern + "  " + refused.getMessage());
      return "refused";
    }
    return machine.rulesForJSONEvent(event).contains("rule");
  }
}
