//! Which call is which, in Tailscale's API v2.

use serde_json::{Value, json};

use super::super::faulty_server::{HttpAnswer, HttpCall};
use super::Tailnet;
use super::credentials::Caller;

impl Tailnet {
    pub fn serve_v2(&mut self, call: &HttpCall) -> HttpAnswer {
        self.route_v2(call).unwrap_or_else(|refusal| refusal)
    }

    fn route_v2(&mut self, call: &HttpCall) -> Result<HttpAnswer, HttpAnswer> {
        let path: Vec<_> = call.path.split('/').filter(|part| !part.is_empty()).collect();
        let nothing = || Err(HttpAnswer::problem(404, "404 page not found"));
        let ["api", "v2", path @ ..] = path.as_slice() else { return nothing() };
        if (call.method.as_str(), path) == ("POST", &["oauth", "token"]) {
            return self.mint(call);
        }
        let caller = self.caller(call)?;
        match path {
            ["tailnet", name, path @ ..] if ["-", TAILNET].contains(name) => {
                self.in_tailnet(path, call, &caller)
            }
            ["tailnet", ..] => Err(HttpAnswer::problem(404, "tailnet not found")),
            ["device", id, path @ ..] => self.at_device(id, path, call, &caller),
            _ => nothing(),
        }
    }

    fn in_tailnet(
        &mut self,
        path: &[&str],
        call: &HttpCall,
        caller: &Caller,
    ) -> Result<HttpAnswer, HttpAnswer> {
        match (call.method.as_str(), path) {
            ("GET", ["keys"]) => self.list_keys(call, caller),
            ("POST", ["keys"]) => self.create_key(call, caller),
            ("GET", ["keys", id]) => self.read_key(id, caller),
            ("DELETE", ["keys", id]) => self.delete_key(id, caller),
            ("GET", ["devices"]) => {
                caller.needs("devices:core:read")?;
                self.list_devices(call)
            }
            ("GET", ["acl"]) => {
                caller.needs("policy_file:read")?;
                self.read_policy(call)
            }
            ("POST", ["acl"]) => {
                caller.needs("policy_file")?;
                self.put_policy(call)
            }
            ("POST", ["acl", "validate"]) => {
                caller.needs("policy_file:read")?;
                self.validate(call)
            }
            ("POST", ["acl", "preview"]) => {
                caller.needs("policy_file:read")?;
                self.preview(call)
            }
            ("GET", ["settings"]) => Ok(self.settings(caller)),
            _ => Err(HttpAnswer::problem(404, "404 page not found")),
        }
    }

    fn at_device(
        &mut self,
        id: &str,
        path: &[&str],
        call: &HttpCall,
        caller: &Caller,
    ) -> Result<HttpAnswer, HttpAnswer> {
        let scope = match (call.method.as_str(), path) {
            ("GET", ["routes"]) => "devices:routes:read",
            ("POST", ["routes"]) => "devices:routes",
            ("GET", _) => "devices:core:read",
            _ => "devices:core",
        };
        caller.needs(scope)?;
        match (call.method.as_str(), path) {
            ("GET", []) => self.read_device(id, call),
            ("DELETE", []) => self.delete_device(id),
            ("POST", ["authorized"]) => self.authorize_device(id, call),
            ("GET", ["routes"]) => self.read_routes(id),
            ("POST", ["routes"]) => self.set_routes(id, call),
            _ => Err(HttpAnswer::problem(404, "404 page not found")),
        }
    }

    /// What the caller may not see is null.
    fn settings(&self, caller: &Caller) -> HttpAnswer {
        let seen = |scope: &str, value: Value| if caller.may(scope) { value } else { Value::Null };
        let kept_at = &self.switches.policy_kept_at;
        let feature = |is: bool| seen("feature_settings:read", json!(is));
        let mut said = json!({
            "aclsExternallyManagedOn": seen("policy_file:read", json!(kept_at.is_some())),
            "devicesApprovalOn": feature(self.switches.approval_on),
            "devicesAutoUpdatesOn": feature(false),
            "usersApprovalOn": feature(false),
            "networkFlowLoggingOn": seen("logs:network:read", json!(false)),
            "regionalRoutingOn": feature(false),
            "postureIdentityCollectionOn": feature(false),
            "httpsEnabled": seen("networking_settings:read", json!(true)),
        });
        if caller.may("policy_file:read") {
            said["aclsExternalLink"] = json!(kept_at.clone().unwrap_or_default());
        }
        if caller.may("feature_settings:read") {
            said["devicesKeyDurationDays"] = json!(180);
            said["usersRoleAllowedToJoinExternalTailnets"] = json!("admin");
        }
        HttpAnswer::json(200, &said)
    }
}

/// The id of the tailnet.
pub const TAILNET: &str = "T1234CNTRL";
