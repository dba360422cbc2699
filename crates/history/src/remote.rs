//! Buckets by their URLs. Credentials, regions and endpoints come from the environment, in the variables that each vendor's
//! own tools read (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`…).

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};

/// How long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Half a minute, with all its bytes.
    Soon,
    /// As long as whoever reads takes over it. Who reads sees to it that bytes come.
    AsRead,
}

impl Answers {
    /// As the client's settings have it, if not what they say by themselves.
    fn timeout(self) -> Option<&'static str> {
        (self == Answers::AsRead).then_some("7 days")
    }
}

/// The bucket of a scheme: `s3`, `gs` or `az`. Nothing is asked of it yet.
pub fn bucket(scheme: &str, name: &str, answers: Answers) -> object_store::Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() };
    // An endpoint without TLS is one that somebody wrote out: a test's, or one beside this machine.
    let plain = |names: &[&str]| {
        names.iter().any(|name| std::env::var(name).is_ok_and(|endpoint| endpoint.starts_with("http://")))
    };
    let timeout = answers.timeout();
    Ok(match scheme {
        "gs" => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(name).with_retry(retry);
            if let Some(timeout) = timeout {
                builder = builder.with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), timeout);
            }
            Arc::new(builder.build()?)
        }
        "az" => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(name).with_retry(retry);
            if let Some(timeout) = timeout {
                builder = builder.with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), timeout);
            }
            if plain(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]) {
                builder = builder.with_allow_http(true);
            }
            Arc::new(builder.build()?)
        }
        _ => {
            let mut builder = AmazonS3Builder::from_env().with_bucket_name(name).with_retry(retry);
            if let Some(timeout) = timeout {
                builder = builder.with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), timeout);
            }
            if plain(&["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"]) {
                builder = builder.with_allow_http(true);
            }
            Arc::new(builder.build()?)
        }
    })
}

/// A store's message in one line, and not endless.
pub fn brief(error: &object_store::Error) -> String {
    let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
