#!/usr/bin/env bash
# software.amazon.event.ruler:event-ruler 1.8.1, the matcher behind EventBridge's rules.
#
# Seen: the order of a pattern's fields decides what it matches. `$or` and a field beside it do not both have to hold where an
# alternative of `$or` names the same field: whichever is written later replaces the other.
#
# Why it matters: a tool that sorts the keys of JSON, or a hand that moves a line, changes which events reach a target. The
# pattern is accepted either way.
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
    String before = "{\"stage\": [\"dev\"], \"$or\": [{\"stage\": [\"prod\"]}, {\"team\": [\"billing\"]}]}";
    String after = "{\"$or\": [{\"stage\": [\"prod\"]}, {\"team\": [\"billing\"]}], \"stage\": [\"dev\"]}";
    String prod = "{\"stage\": \"prod\"}";
    String dev = "{\"stage\": \"dev\"}";
    System.out.println("stage before $or: prod " + matches(before, prod) + ", dev " + matches(before, dev));
    System.out.println("stage after $or:  prod " + matches(after, prod) + ", dev " + matches(after, dev));
  }
}
JAVA
cat >expected <<'OUT'
stage before $or: prod true, dev false
stage after $or:  prod false, dev true
OUT
mvn -q -B -f pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory=jars
java -cp 'jars/*' Finding.java | tee seen
diff expected seen && echo 'As it was found.'
