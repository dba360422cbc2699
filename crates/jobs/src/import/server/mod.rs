//! A running MLflow server, read through its REST API. What that does not tell is not taken: deleted versions and logged
//! models, and when a run was deleted.

mod wire;

use karat_outbound::{Api, Failure, Login};
use karat_registry::import::{ImportLoggedModel, ImportModel, ImportRun, LeftOut, Survey, TrackingSource};
use karat_registry::search::Page;
use karat_registry::{Answer, Experiment, Metric, RegistryError, Run};
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

use wire::{int, list, text};

const API: &str = "api/2.0/mlflow";
const FILES: &str = "api/2.0/mlflow-artifacts/artifacts";
const RUNS: &str = "runs/search";
/// Experiments that are searched together.
const TOGETHER: usize = 20;

pub struct MlflowServer {
    api: Api,
    label: String,
    now_ms: i64,
    experiments: OnceCell<Vec<Experiment>>,
}

/// A file behind the server.
pub struct Listed {
    pub path: String,
    pub is_folder: bool,
    pub bytes: u64,
}

impl MlflowServer {
    /// `now_ms` stands for times that the server does not tell.
    pub fn new(uri: &str, login: Login, now_ms: i64) -> Result<MlflowServer, RegistryError> {
        let label = uri.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned();
        if label.contains('@') {
            return Err(RegistryError::Invalid(
                "leave the password out of the address: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or \
                 MLFLOW_TRACKING_TOKEN, say it"
                    .to_owned(),
            ));
        }
        let api = Api::new(&label, login).map_err(|failure| RegistryError::Invalid(format!("{label}: {failure}")))?;
        Ok(MlflowServer { api, label, now_ms, experiments: OnceCell::new() })
    }

    /// The files and folders at a path behind the server; of anything else none.
    pub async fn files(&self, path: &str) -> Result<Vec<Listed>, RegistryError> {
        let answer = match self.api.get(FILES, &[("path", path)]).await {
            Err(Failure::Status(404)) => return Ok(Vec::new()),
            answer => self.document(answer)?,
        };
        let listed = |file: &Json| Listed {
            path: format!("{path}/{}", text(&file["path"])),
            is_folder: file["is_dir"].as_bool().unwrap_or_default(),
            bytes: int(&file["file_size"]).unsigned_abs(),
        };
        Ok(list(&answer["files"]).map(listed).collect())
    }

    pub async fn download<W: std::io::Write>(
        &self,
        path: &str,
        target: impl Fn() -> std::io::Result<W>,
    ) -> Result<W, RegistryError> {
        self.api.download(&format!("{FILES}/{path}"), target).await.map_err(|failure| self.failed(&failure))
    }

    fn failed(&self, failure: &Failure) -> RegistryError {
        RegistryError::Refused(match failure {
            Failure::Status(401 | 403) => format!(
                "{} wants to know who asks: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or \
                 MLFLOW_TRACKING_TOKEN",
                self.label
            ),
            failure => format!("{}: {failure}", self.label),
        })
    }

    fn document(&self, answer: Result<Vec<u8>, Failure>) -> Result<Json, RegistryError> {
        let answer = answer.map_err(|failure| self.failed(&failure))?;
        serde_json::from_slice(&answer)
            .map_err(|_| RegistryError::Refused(format!("{}: its answer is not JSON: is it MLflow's?", self.label)))
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Json, RegistryError> {
        self.document(self.api.get(&format!("{API}/{path}"), query).await)
    }

    /// `None` where the server is older than what is asked.
    async fn post(&self, path: &str, body: &Json) -> Result<Option<Json>, RegistryError> {
        match self.api.post(&format!("{API}/{path}"), body).await {
            Err(Failure::Status(404 | 405)) => Ok(None),
            answer => self.document(answer).map(Some),
        }
    }

    async fn all_experiments(&self) -> Result<&Vec<Experiment>, RegistryError> {
        self.experiments.get_or_try_init(|| self.read_experiments()).await
    }

    async fn read_experiments(&self) -> Result<Vec<Experiment>, RegistryError> {
        let (mut experiments, mut page) = (Vec::new(), String::new());
        loop {
            let query = [("view_type", "ALL"), ("max_results", "1000"), ("page_token", page.as_str())];
            let answer = self.get("experiments/search", &query[..if page.is_empty() { 2 } else { 3 }]).await?;
            experiments.extend(list(&answer["experiments"]).map(wire::experiment));
            page = text(&answer["next_page_token"]);
            if page.is_empty() {
                return Ok(experiments);
            }
        }
    }

    /// A search over all experiments, some at a time: `NUMBER:TOKEN` is the page of the token among those of a number.
    async fn search<T>(
        &self,
        path: &str,
        page: Option<&str>,
        most: u32,
        item: (&str, impl Fn(&Json) -> T),
    ) -> Result<Page<T>, RegistryError> {
        let (number, token) = page.and_then(|page| page.split_once(':')).unwrap_or(("0", ""));
        let number: usize = number.parse().unwrap_or_default();
        let experiments = self.all_experiments().await?;
        let mut chunks = experiments.chunks(TOGETHER).skip(number);
        let Some(chunk) = chunks.next() else { return Ok(Page { items: Vec::new(), next: None }) };
        let ids: Vec<String> = chunk.iter().map(|experiment| experiment.id.to_string()).collect();
        let mut body = json!({"experiment_ids": ids, "max_results": most});
        if path == RUNS {
            body["run_view_type"] = json!("ALL");
        }
        if !token.is_empty() {
            body["page_token"] = json!(token);
        }
        let Some(answer) = self.post(path, &body).await? else { return Ok(Page { items: Vec::new(), next: None }) };
        let (name, item) = item;
        let token = text(&answer["next_page_token"]);
        let next = match token.is_empty() {
            false => Some(format!("{number}:{token}")),
            true => chunks.next().map(|_| format!("{}:", number + 1)),
        };
        Ok(Page { items: list(&answer[name]).map(item).collect(), next })
    }
}

impl TrackingSource for MlflowServer {
    fn label(&self) -> &str {
        &self.label
    }

    fn survey(&self) -> Answer<'_, Survey> {
        Box::pin(async move {
            // Whatever else listens there has no experiments.
            let answer = self.get("experiments/search", &[("max_results", "1")]).await?;
            if !answer.is_object() {
                return Err(RegistryError::Refused(format!("{} does not answer as MLflow's server does", self.label)));
            }
            let version = self.api.get("version", &[]).await.unwrap_or_default();
            let version = String::from_utf8_lossy(&version).trim().to_owned();
            let schema = match version.is_empty() || version.len() > 40 {
                true => "of a server".to_owned(),
                false => format!("of server {version}"),
            };
            let remarks = vec!["deleted versions and deleted logged models: a server does not tell of them".to_owned()];
            Ok(Survey { schema, counts: None, remarks })
        })
    }

    fn experiments(&self) -> Answer<'_, Vec<Experiment>> {
        Box::pin(async move { Ok(self.all_experiments().await?.clone()) })
    }

    fn runs<'a>(&'a self, page: Option<&'a str>) -> Answer<'a, Page<Result<ImportRun, LeftOut>>> {
        Box::pin(self.search(RUNS, page, 200, ("runs", |run: &Json| wire::run(run, self.now_ms))))
    }

    /// `NUMBER:TOKEN` is the page of the token in the history of the metric of a number.
    fn points<'a>(&'a self, run: &'a Run, page: Option<&'a str>) -> Answer<'a, Page<Metric>> {
        Box::pin(async move {
            let (number, token) = page.and_then(|page| page.split_once(':')).unwrap_or(("0", ""));
            let number: usize = number.parse().unwrap_or_default();
            let Some(metric) = run.metrics.get(number) else { return Ok(Page { items: Vec::new(), next: None }) };
            let query = [
                ("run_id", run.run_id.as_str()),
                ("metric_key", metric.key.as_str()),
                ("max_results", "10000"),
                ("page_token", token),
            ];
            let answer = self.get("metrics/get-history", &query[..if token.is_empty() { 3 } else { 4 }]).await?;
            let token = text(&answer["next_page_token"]);
            let next = match token.is_empty() {
                false => Some(format!("{number}:{token}")),
                true => (number + 1 < run.metrics.len()).then(|| format!("{}:", number + 1)),
            };
            Ok(Page { items: list(&answer["metrics"]).map(wire::metric).collect(), next })
        })
    }

    fn logged_models<'a>(&'a self, page: Option<&'a str>) -> Answer<'a, Page<ImportLoggedModel>> {
        Box::pin(self.search("logged-models/search", page, 50, ("models", wire::logged_model)))
    }

    fn registered_models<'a>(&'a self, page: Option<&'a str>) -> Answer<'a, Page<ImportModel>> {
        Box::pin(async move {
            let query = [("max_results", "50"), ("page_token", page.unwrap_or_default())];
            let answer = self.get("registered-models/search", &query[..1 + usize::from(page.is_some())]).await?;
            let mut models = Vec::new();
            for model in list(&answer["registered_models"]) {
                let mut model = wire::model(model);
                self.add_versions(&mut model).await?;
                models.push(model);
            }
            Ok(Page { items: models, next: Some(text(&answer["next_page_token"])).filter(|token| !token.is_empty()) })
        })
    }
}

impl MlflowServer {
    async fn add_versions(&self, model: &mut ImportModel) -> Result<(), RegistryError> {
        let quote = if model.name.contains('\'') { '"' } else { '\'' };
        let filter = format!("name = {quote}{}{quote}", model.name);
        let mut page = String::new();
        loop {
            let query = [("filter", filter.as_str()), ("max_results", "200"), ("page_token", page.as_str())];
            let answer = self.get("model-versions/search", &query[..if page.is_empty() { 2 } else { 3 }]).await?;
            for version in list(&answer["model_versions"]) {
                let mut version = wire::version(version);
                let number = version.version.to_string();
                let query = [("name", model.name.as_str()), ("version", number.as_str())];
                let place = text(&self.get("model-versions/get-download-uri", &query).await?["artifact_uri"]);
                if place != version.source {
                    version.storage_location = place;
                }
                model.versions.push(version);
            }
            page = text(&answer["next_page_token"]);
            if page.is_empty() {
                model.versions.sort_by_key(|version| version.version);
                return Ok(());
            }
        }
    }
}
