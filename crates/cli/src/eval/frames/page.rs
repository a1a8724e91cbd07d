//! stub
pub fn page(
    _: &super::Found,
    _: &serde_json::Value,
    _: &(Vec<super::worst::Worst>, super::worst::Pictures),
) -> String {
    String::new()
}
