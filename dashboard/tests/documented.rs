//! `openapi.json` against real answers: every documented path and status that a request can bring about is asked for,
//! and its body must be what the document says.

use std::collections::BTreeSet;

use super::*;

fn document() -> Value {
    serde_json::from_str(include_str!("../openapi.json")).unwrap()
}

fn resolve<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    while let Some(to) = schema.get("$ref") {
        let pointer = to.as_str().unwrap().strip_prefix('#').unwrap();
        schema = document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
    }
    schema
}

/// As much of JSON Schema as the document uses; anything else in it fails the test.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = resolve(document, schema).as_object().unwrap();
    let wrong = |what: &str| Err(format!("{at}: {what}: {value}"));
    if let Some(wanted) = schema.get("type") {
        let fits = match wanted.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            other => panic!("type {other}"),
        };
        if !fits {
            return wrong(&format!("not of type {wanted}"));
        }
    }
    for (keyword, rule) in schema {
        match keyword.as_str() {
            "required" => {
                let missing = rule.as_array().unwrap().iter().find(|key| value.get(key.as_str().unwrap()).is_none());
                if let Some(key) = missing {
                    return wrong(&format!("{key} is missing"));
                }
            }
            "properties" => {
                for (key, value) in value.as_object().unwrap() {
                    match rule.get(key) {
                        Some(schema) => check(document, schema, value, &format!("{at}.{key}"))?,
                        None if schema.get("additionalProperties") == Some(&json!(false)) => {
                            return wrong(&format!("{key} is not documented"));
                        }
                        None => {}
                    }
                }
            }
            "items" => {
                for (i, value) in value.as_array().unwrap().iter().enumerate() {
                    check(document, rule, value, &format!("{at}[{i}]"))?;
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => return wrong("not one of the values"),
            "minimum" if value.as_f64().unwrap() < rule.as_f64().unwrap() => return wrong("too small"),
            "anyOf" => {
                let all = rule.as_array().unwrap().iter().map(|schema| check(document, schema, value, at));
                let errors = all.collect::<Vec<_>>();
                if errors.iter().all(Result::is_err) {
                    return wrong(&format!("none of {errors:?}"));
                }
            }
            "type" | "enum" | "minimum" | "additionalProperties" | "description" => {}
            other => panic!("{at}: teach the test `{other}`"),
        }
    }
    Ok(())
}

struct Documented {
    server: Running,
    document: Value,
    seen: BTreeSet<(String, u16)>,
}

impl Documented {
    async fn expect(&mut self, path: &str, status: u16, request: reqwest::RequestBuilder) {
        let request = request.build().unwrap();
        let method = request.method().as_str().to_lowercase();
        let response = self.server.client.execute(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        let operation = &self.document["paths"][path][&method];
        let documented = &operation["responses"][status.to_string()];
        assert!(documented.is_object(), "{path} answers with {status}, which is not documented");
        let documented = resolve(&self.document, documented);
        if let Some(headers) = documented.get("headers") {
            for name in headers.as_object().unwrap().keys() {
                assert!(response.headers().contains_key(name.as_str()), "{path} {status}: header {name}");
            }
        }
        if documented.get("content").is_none() {
            assert_eq!(response.text().await.unwrap(), "", "{path} {status}: a body that is not documented");
            self.seen.insert((path.to_owned(), status));
            return;
        }
        let media = response.headers()["content-type"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let schema = &documented["content"][&media]["schema"];
        assert!(schema.is_object(), "{path} {status}: {media} is not documented");
        if media == "application/json" {
            let body = json_of(response).await;
            check(&self.document, schema, &body, path).unwrap_or_else(|error| panic!("{path} {status}: {error}"));
        }
        self.seen.insert((path.to_owned(), status));
    }
}

#[tokio::test]
async fn every_documented_path_answers_as_documented() {
    let settings = Settings { max_request_body_size: 200, ..settings() };
    let server = start(settings, Some(Arc::default()), snapshot()).await;
    let mut doc = Documented { server, document: document(), seen: BTreeSet::new() };
    let gets = [
        ("/api/v1/metrics", "?search=CPU&limit=1"),
        ("/api/v1/series", "?metric=system.cpu.time&match=cpu=cpu0&match=state=user&limit=3"),
        ("/api/v1/labels", "?metric=system.cpu.time"),
        ("/api/v1/label/{name}/values", "?limit=2"),
        ("/api/v1/pipeline", ""),
        ("/api/v1/lake", ""),
        ("/api/v1/boards", ""),
        ("/api/v1/boards/{id}", ""),
        ("/api/v1/openapi.json", ""),
        ("/healthz", ""),
        ("/readyz", ""),
    ];
    for (path, parameters) in gets {
        let request =
            doc.server.get(&format!("{}{parameters}", path.replace("{name}", "service.name").replace("{id}", "host")));
        doc.expect(path, 200, request).await;
        if path.starts_with("/api/") {
            let request =
                doc.server.get(&path.replace("{name}", "x").replace("{id}", "host")).header("host", "evil.example");
            doc.expect(path, 403, request).await;
        }
        if doc.document["paths"][path]["get"]["responses"].get("400").is_some() {
            let request = doc.server.get(&format!("{}?no_such=1", path.replace("{name}", "x")));
            doc.expect(path, 400, request).await;
        }
    }
    let request = doc.server.get("/api/v1/boards/none");
    doc.expect("/api/v1/boards/{id}", 404, request).await;
    // Its other answers are in the tests of `live`: this client does not speak WebSocket.
    let live = "/api/v1/live";
    let request = doc.server.get(live);
    doc.expect(live, 426, request).await;
    let request = doc.server.get(live).header("host", "evil.example");
    doc.expect(live, 403, request).await;
    doc.seen.insert((live.to_owned(), 200));
    let query = "/api/v1/query";
    let example = json!({"sql": "rows 3", "limit": 2, "timeout": 1.5});
    let request_schema = json!({"$ref": "#/components/schemas/QueryRequest"});
    check(&doc.document, &request_schema, &example, "request").unwrap();
    for accept in ["application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream"] {
        let request = doc.server.post(&example).header("accept", accept);
        doc.expect(query, 200, request).await;
    }
    let late = doc.server.post(&json!({"sql": "fail-late"}));
    doc.expect(query, 200, late).await;
    let bad = doc.server.post(&json!({"sql": "nonsense"}));
    doc.expect(query, 400, bad).await;
    let host = doc.server.post(&example).header("host", "evil.example");
    doc.expect(query, 403, host).await;
    let accept = doc.server.post(&example).header("accept", "image/png");
    doc.expect(query, 406, accept).await;
    let long = doc.server.post(&json!({"sql": "x".repeat(300)}));
    doc.expect(query, 413, long).await;
    let form = doc.server.client.post(format!("{}{query}", doc.server.url)).body("sql=x");
    doc.expect(query, 415, form).await;

    alerts(&mut doc).await;

    let mut stopping = snapshot();
    stopping.ready = false;
    doc.server = start(super::settings(), None, stopping).await;
    for path in ["/api/v1/metrics", "/api/v1/series", "/api/v1/labels", "/api/v1/lake", "/readyz", "/-/ready"] {
        let request = doc.server.get(path);
        doc.expect(path, 503, request).await;
    }
    let request = doc.server.post(&example);
    doc.expect(query, 503, request).await;

    let paths = doc.document["paths"].as_object().unwrap();
    let asked = doc.seen.iter().filter(|(_, status)| *status == 200).map(|(path, _)| path).collect::<BTreeSet<_>>();
    assert_eq!(asked, paths.keys().collect::<BTreeSet<_>>(), "every documented path was asked");
}

/// Being Alertmanager.
async fn alerts(doc: &mut Documented) {
    let gets = [
        "/api/v2/status",
        "/api/v2/receivers",
        "/api/v2/alerts",
        "/api/v2/alerts/groups",
        "/api/v2/silences",
        "/api/v1/alerts",
        "/api/v1/rules",
    ];
    for path in gets {
        let request = doc.server.get(path);
        doc.expect(path, 404, request).await;
    }
    doc.server.desk.open("alerting", crate::alertmanager::tests::StandIn::new());
    for path in gets.into_iter().chain(["/-/healthy", "/-/ready"]) {
        let request = doc.server.get(path);
        doc.expect(path, 200, request).await;
    }
    let silence = json!({
        "matchers": [{"name": "a", "value": "b", "isRegex": false}], "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2126-01-01T00:00:00Z", "createdBy": "me", "comment": "",
    });
    let acknowledgement = json!({"matchers": [{"name": "a", "value": "b", "isRegex": false}], "by": "me"});
    for (path, schema, body) in [
        ("/api/v2/alerts", "PostedAlert", json!([{"labels": {"a": "b"}, "startsAt": "2026-01-01T00:00:00Z"}])),
        ("/api/v2/silences", "PostedSilence", silence),
        ("/api/v1/alerts/acknowledge", "Acknowledgement", acknowledgement),
    ] {
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        check(&doc.document, &schema, body.get(0).unwrap_or(&body), path).unwrap();
        let post = |doc: &Documented| doc.server.client.post(format!("{}{path}", doc.server.url));
        let (good, bad, form) = (post(doc).json(&body), post(doc).json(&json!(7)), post(doc).body("x"));
        let host = post(doc).json(&body).header("host", "evil.example");
        doc.expect(path, 200, good).await;
        doc.expect(path, 400, bad).await;
        doc.expect(path, 415, form).await;
        doc.expect(path, 403, host).await;
    }
    let one = "/api/v2/silence/{id}";
    let silences = json_of(doc.server.get("/api/v2/silences").send().await.unwrap()).await;
    let id = silences[0]["id"].as_str().unwrap().to_owned();
    let url = format!("{}/api/v2/silence/{id}", doc.server.url);
    let (get, delete) = (doc.server.client.get(&url), doc.server.client.delete(&url));
    doc.expect(one, 200, get).await;
    doc.expect(one, 200, delete).await;
    for missing in
        [doc.server.get("/api/v2/silence/x"), doc.server.client.delete(format!("{}/api/v2/silence/x", doc.server.url))]
    {
        doc.expect(one, 404, missing).await;
    }
}
