#!/usr/bin/env bash
# software.amazon.event.ruler:event-ruler 1.8.1, the matcher behind EventBridge's rules.
#
# Seen: in a list of objects, the fields of a pattern must all be found in one and the same object, except `exists: false`. That one
# looks at the whole list: one object that has the field is enough for no match, whichever object the other fields are in.
#
# Why it matters: "an item that failed and has no error code" can't be said of a list in a pattern. The rule misses such an event
# as soon as any other item has a code.
#
# Needs Java 11 or newer and Maven.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >pom.xml <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId><artifactId>finding</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>software.amazon.event.ruler</groupId><artifactId>event-ruler</artifactId><version>1.8.1</version>
    </dependency>
  </dependencies>
</project>
POM
cat >Finding.java <<'JAVA'
import software.amazon.event.ruler.Machine;

public class Finding {
  static boolean matches(String pattern, String event) throws Exception {
    Machine machine = Machine.builder().build();
    machine.addRule("rule", pattern);
    return machine.rulesForJSONEvent(event).contains("rule");
  }

  public static void main(String[] none) throws Exception {
    String withCode = "{\"items\": {\"state\": [\"failed\"], \"code\": [{\"exists\": true}]}}";
    String withoutCode = "{\"items\": {\"state\": [\"failed\"], \"code\": [{\"exists\": false}]}}";
    String event = "{\"items\": [{\"state\": \"failed\"}, {\"state\": \"done\", \"code\": 7}]}";
    String alone = "{\"items\": [{\"state\": \"failed\"}, {\"state\": \"done\"}]}";
    System.out.println("failed with a code, of which the other item has one:    " + matches(withCode, event));
    System.out.println("failed without a code, of which the other item has one: " + matches(withoutCode, event));
    System.out.println("failed without a code, and nobody has one:              " + matches(withoutCode, alone));
  }
}
JAVA
cat >expected <<'OUT'
failed with a code, of which the other item has one:    false
failed without a code, of which the other item has one: false
failed without a code, and nobody has one:              true
OUT
mvn -q -B -f pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory=jars
java -cp 'jars/*' Finding.java | tee seen
diff expected seen && echo 'As it was found.'
