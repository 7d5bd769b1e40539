// Makes calls with the client that oapi-codegen generates: a list of them on stdin, what became of each on stdout.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"

	"org-connections-caller/client"
)

type call struct {
	Operation string `json:"operation"`
	BaseURL   string `json:"base_url"`
	Arguments struct {
		Path struct {
			Organization string `json:"organization_id"`
			Connection   string `json:"connection_id"`
		} `json:"path"`
		Query json.RawMessage `json:"query"`
		Body  json.RawMessage `json:"body"`
	} `json:"arguments"`
	Example string `json:"example"`
}

// The kind is the Go type that the answer was read as: Problem, GatewayMessage, data, or none for an empty answer.
type result struct {
	Status int     `json:"status"`
	Kind   *string `json:"kind"`
	Code   *string `json:"code"`
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func read[T any](text json.RawMessage) T {
	var value T
	if len(text) > 0 {
		must(0, json.Unmarshal(text, &value))
	}
	return value
}

func send(one call) any {
	api := must(client.NewClientWithResponses(one.BaseURL))
	ctx, path, query, body := context.Background(), one.Arguments.Path, one.Arguments.Query, one.Arguments.Body
	header := func(_ context.Context, request *http.Request) error {
		request.Header.Set("Accept", "application/json, application/problem+json")
		if one.Example != "" {
			request.Header.Set("X-Correlation-Id", one.Example)
		}
		return nil
	}
	switch one.Operation {
	case "disable-connection":
		return must(api.DisableConnectionWithResponse(ctx, path.Organization, path.Connection, nil, read[client.DisableBody](body), header))
	case "remove-connection":
		return must(api.RemoveConnectionWithResponse(ctx, path.Organization, path.Connection, nil, header))
	case "request-offboarding":
		return must(api.RequestOffboardingWithResponse(ctx, path.Organization, nil, read[client.OffboardingBody](body), header))
	case "get-offboarding":
		return must(api.GetOffboardingWithResponse(ctx, path.Organization, nil, header))
	case "cancel-offboarding":
		return must(api.CancelOffboardingWithResponse(ctx, path.Organization, read[*client.CancelOffboardingParams](query), header))
	case "request-offboardings":
		return must(api.RequestOffboardingsWithResponse(ctx, nil, read[client.BatchBody](body), header))
	case "list-offboardings":
		return must(api.ListOffboardingsWithResponse(ctx, read[*client.ListOffboardingsParams](query), header))
	case "cancel-offboardings":
		return must(api.CancelOffboardingsWithResponse(ctx, read[*client.CancelOffboardingsParams](query), header))
	}
	return must[any](nil, fmt.Errorf("no call of %s is written here", one.Operation))
}

func resultOf(answer any) result {
	value := reflect.ValueOf(answer).Elem()
	found := result{Status: value.FieldByName("HTTPResponse").Interface().(*http.Response).StatusCode}
	for i := range value.NumField() {
		name, field := value.Type().Field(i).Name, value.Field(i)
		if !strings.Contains(name, "JSON") || field.IsNil() {
			continue
		}
		kind := "data"
		if strings.HasPrefix(name, "Applicationproblem") {
			kind = "Problem"
			code := fmt.Sprint(reflect.Indirect(field.Elem().FieldByName("Code")))
			found.Code = &code
		} else if found.Status >= 400 {
			kind = "GatewayMessage"
		}
		found.Kind = &kind
	}
	return found
}

func main() {
	var calls []call
	must(0, json.NewDecoder(os.Stdin).Decode(&calls))
	results := []result{}
	for _, one := range calls {
		results = append(results, resultOf(send(one)))
	}
	must(0, json.NewEncoder(os.Stdout).Encode(results))
}
