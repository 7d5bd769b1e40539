#!/usr/bin/env bash
# Has AWS's own matcher, event-ruler, decide the cases of cases.json, and writes its verdicts there. Needs Java 11 or newer and
# Maven; the tests need neither.
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mvn -q -B -f pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory="$folder"
java -cp "$folder/*" Verdicts.java cases.json
