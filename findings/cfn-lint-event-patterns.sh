#!/usr/bin/env bash
# cfn-lint 1.58.0 beside software.amazon.event.ruler:event-ruler 1.8.1.
#
# Seen: cfn-lint has nothing to say about the event pattern of an AWS::Events::Rule. All three patterns here pass, and EventBridge's
# own matcher refuses each: a text where a list belongs, an empty list, and an operator that does not exist.
#
# Why it matters: the template is green until the deployment of that rule fails and rolls everything back.
#
# Needs Java 11 or newer, Maven and Python 3.
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
import software.amazon.event.ruler.JsonRuleCompiler;

public class Finding {
  public static void main(String[] patterns) {
    for (String pattern : patterns)
      System.out.println("event-ruler: " + pattern + (JsonRuleCompiler.check(pattern) == null ? " taken" : " refused"));
  }
}
JAVA
patterns=('{"source": "billing"}' '{"source": []}' '{"source": [{"starts-with": "bill"}]}')
count=0
for pattern in "${patterns[@]}"; do
  cat >template.json <<JSON
{
  "Resources": {
    "Topic": { "Type": "AWS::SNS::Topic" },
    "Rule": {
      "Type": "AWS::Events::Rule",
      "Properties": { "EventPattern": $pattern, "Targets": [{ "Id": "topic", "Arn": { "Ref": "Topic" } }] }
    }
  }
}
JSON
  cp template.json "template-$((++count)).json"
done
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cfn-lint==1.58.0
mvn -q -B -f pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory=jars
{
  venv/bin/cfn-lint template-*.json && echo 'cfn-lint: nothing'
  java -cp 'jars/*' Finding.java "${patterns[@]}"
} | tee seen
cat >expected <<'OUT'
cfn-lint: nothing
event-ruler: {"source": "billing"} refused
event-ruler: {"source": []} refused
event-ruler: {"source": [{"starts-with": "bill"}]} refused
OUT
diff expected seen && echo 'As it was found.'
