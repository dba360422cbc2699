use axum::http::StatusCode;
use serde_json::json;

use crate::app::App;

#[tokio::test]
async fn the_catalogue_over_http() {
    let app = App::new();
    let (status, answer) = app.get("/v1/features").await;
    assert_eq!(status, StatusCode::OK);
    let view = &answer["views"][0];
    assert_eq!(
        (&view["view"], &view["owner"], &view["tags"]),
        (&json!("payment_history"), &json!("risk"), &json!({"level": "gold"}))
    );
    assert_eq!((&view["stale_after"], &view["newest_commit"]), (&json!("70 days"), &json!(2)));
    assert_eq!(view["state"], json!({"commit": 1, "at": "2021-10-01T00:00:00Z", "keys": 2}));
    assert_eq!(view["flags"], json!([{"flag": "behind", "message": "materialize it"}]));
    let used = json!([{"model": "default_risk", "version": "3", "aliases": ["champion"], "current": true, "endpoints": ["risk"]}]);
    assert_eq!((&view["used_by"], &view["features"]["share_late"]["used_by"]), (&used, &used));

    assert_eq!(view["services"], json!(["screening"]));

    let (status, one) = app.get("/v1/features/payment_history").await;
    assert_eq!((status, &one), (StatusCode::OK, view));
}

#[tokio::test]
async fn a_view_that_is_none_is_named_and_damage_is_not() {
    let app = App::new();
    let (status, problem) = app.get("/v1/features/payments").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    assert_eq!(problem["detail"], "there is no feature view `payments` in this project");
    for path in ["/v1/lineage", "/v1/lineage.svg"] {
        let (status, problem) = app.get(path).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
}
