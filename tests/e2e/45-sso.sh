#!/usr/bin/env bash
# The identity provider works, then fails: SSO is enforced, and only who is listed gets past it.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/idp.sh"
make_user "$OPERATOR"
STATE=$WORK/home-$OPERATOR/.local/state/breakglass
CONFIG=$WORK/home-$OPERATOR/.config/breakglass
mkdir -p "$CONFIG"
: >"$CONFIG/config.toml"
chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"
watch_processes
trap 'stop_idp; stop_watching' EXIT

# Everybody sits at this terminal, one after the other.
CAROL=carol@example.com CAROLS="$CANARY of Carol"

# sso IDP PERSON [deny]: signs on; what it printed is in check.out, its exit code is passed on.
sso() {
    local code login
    # The code of whoever signed on before is no code for this one.
    rm -f "$WORK/sso.json"
    bg login --sso "$1" --json >"$WORK/sso.json" 2>"$WORK/sso.err" &
    login=$!
    until_true "a code is shown for $2" grep -q '"user_code"' "$WORK/sso.json"
    code=$(head -n 1 "$WORK/sso.json" |
        python3 -c "import json,sys; print(json.load(sys.stdin)['sso_prompt']['user_code'])")
    approve "$code" "$2" "${3:-approve}" >"$WORK/approve.out" 2>&1 ||
        { cat "$WORK/approve.out"; fail "the browser's half failed"; }
    local got=0
    wait "$login" || got=$?
    cat "$WORK/sso.json" "$WORK/sso.err" | tee -a "$WORK/said.out" >"$WORK/check.out"
    return "$got"
}

# in_audit DESCRIPTION PYTHON: an event, called `e`, for which this is true stands in the audit.
in_audit() {
    bg audit tail -n 1000 --json >"$WORK/audit.json"
    if python3 -c "
import json, sys
events = json.load(open(sys.argv[1]))['events']
sys.exit(not any($2 for e in events))" "$WORK/audit.json"; then
        ok "the audit has it: $1"
    else
        tail -c 3000 "$WORK/audit.json"
        fail "the audit does not have it: $1"
    fi
}
as_owner() { sign_in "$OWNER" "$PASSWORD"; }
as_carol() { sign_in "$CAROL" "$CAROLS"; }

start_idp "$(free_port)"
port=${ISSUER##*:}
become_owner

# A confidential client: its secret is in the sealed vault, and nowhere else.
add_confidential() {
    printf '%s\n' "$IDP_SECRET" | bg idp add corp --kind oidc --issuer "$ISSUER" \
        --client-id breakglass-confidential --secret-stdin --scope email --domain example.com
}
refuse "a client secret is not taken in before there is a vault" 5 add_confidential
says "and it says what to do" "breakglass vault unlock"
unlock() { printf '%s\n' "$CANARY of the vault" | bg vault unlock --passphrase-stdin; }
check "a vault is made" unlock
check "then it is" add_confidential
check "the vault holds it" bg vault status
says "in a file" "a sealed file"
says "by a name" "idp-corp"
nowhere "the client secret is in no file in plain" "$IDP_SECRET"
check "bob is invited" bg operators invite bob@example.com --role member
check "bob signs on with the confidential client" sso corp bob
check "and is signed in" bg whoami
says "by SSO" "signed in by single sign-on at corp"
check "the Owner signs in again" as_owner
check "the identity provider is removed" bg idp remove corp
check "and its secret with it" bg vault status
says "from the vault" "nothing"

check "a public client is added" bg idp add node --kind oidc --issuer "$ISSUER" \
    --client-id breakglass --scope email --domain example.com
check "it is looked at" bg idp validate node
check "alice is invited" bg operators invite alice@example.com --role member
check "and so is carol" bg operators invite "$CAROL" --role member --json
code=$(python3 -c "import json,sys; print(json.load(sys.stdin)['code']['code'])" <"$WORK/check.out")
redeem() { printf '%s\n' "$1" "$CAROLS" | bg password set --email "$CAROL" --code-stdin; }
check "who sets her password with the code" redeem "$code"
refuse "which works once" 4 redeem "$code"
# It was printed once, as it is meant to be.
rm "$WORK/said.out"
nowhere "the code is kept nowhere" "$code"
check "and lets her in" as_carol

check "alice signs on" sso node alice
check "and is signed in" bg whoami
says "by SSO" "alice@example.com (Member), signed in by single sign-on at node"
refuse "a Member enforces nothing" 4 bg idp enforce node
refuse "who says no at the page is not let in" 4 sso node bob deny
says "and is told so" "declined"
check "alice is signed in still" bg whoami
says "as she was" "alice@example.com"
check "the Owner takes her place" as_owner
in_audit "alice is bound" "e['type'] == 'operator.bound' and e['object']['name'] == 'alice@example.com'"
in_audit "alice signed in" "e['type'] == 'auth.login.success' and e['metadata']['method'] == 'sso'
    and e['actor']['email'] == 'alice@example.com'"
in_audit "the refusal" "e['type'] == 'auth.login.failure' and 'declined' in e['description']"

refuse "SSO that nobody could get past is not enforced unasked" 4 bg idp enforce node
check "the Owner is listed" bg break-glass-users add --idp node "$OWNER"
refuse "once" 2 bg break-glass-users add --idp node "$OWNER"
check "then SSO is enforced" bg idp enforce node
refuse "a right password is refused while SSO works" 4 as_carol
says "and SSO is named" 'sign in with SSO at `node`'
check "alice signs on as before" sso node alice
check "the Owner is let past by password" as_owner
check "and is told that this is the exception" bg whoami
says "in so many words" "as a BREAK-GLASS USER past the enforced SSO of node"

stop_idp
gone() { ! curl --silent --output /dev/null "$ISSUER/"; }
until_true "the identity provider is down" gone
refuse "that is seen" 5 bg idp validate node
says "and why" "refuses connections"
in_audit "it is unhealthy now" "e['type'] == 'sso.probe_changed' and e['outcome'] == 'failure'"
check "the Owner signs out" bg logout
refuse "nobody can sign on" 5 bg login --sso node --json
refuse "who is not listed is refused with a right password" 4 as_carol
says "and told who can let them in" "an Admin or Owner on its break-glass list can let you in"
check "who is listed gets in by password" as_owner
in_audit "with the evidence" "e['type'] == 'auth.login.success'
    and e['description'] == 'Break-glass user logged in via password'
    and e['metadata']['isBreakGlassAccess'] is True
    and any(not s['healthy'] and any('refuses connections' in c['said'] for c in s['checks'])
            for s in e['metadata']['evidence'])"
in_audit "carol's refusal" "e['type'] == 'auth.login.failure' and 'not listed' in e['description']
    and e['metadata']['isBreakGlassAccess'] is False"

# Who guesses waits, longer each time, also after a crash; nobody else does.
guess() { sign_in "$CAROL" "$CANARY but wrong" >"$WORK/guess.out" 2>&1; }
held() { ! guess && grep -qE 'try again in ([5-9]|[1-9][0-9]) ?s' "$WORK/guess.out"; }
until_true "who guesses has to wait five seconds or more" held
kill -9 "$(bg engine status --json |
    python3 -c "import json,sys; print(json.load(sys.stdin)['engine']['pid'])")"
refuse "a crash takes nothing back" 4 as_carol
says "of the wait" "too many failed tries from here"
check "nobody else waits" as_owner
in_audit "the wait" "e['type'] == 'auth.throttled'"

prove() { printf '%s\n' "$1" | bg break-glass-users prove --idp node --password-stdin; }
refuse "a wrong password proves nothing" 4 prove "$CANARY but wrong"
check "a right one does" prove "$PASSWORD"
check "the list knows" bg break-glass-users list --idp node --json
python3 -c "
import json, sys
listed = json.load(sys.stdin)['break_glass_lists'][0]['listed']
sys.exit(not (len(listed) == 1 and listed[0]['proven_at'] and not listed[0]['proof_due']))" \
    <"$WORK/check.out" || fail "the proof is not on the list"
ok "when it was"

start_idp "$port"
check "it is back" bg idp validate node
in_audit "and healthy" "e['type'] == 'sso.probe_changed' and e['outcome'] == 'success'"
check "alice signs on with keys that are new" sso node alice
check "the Owner looks after it" as_owner
check "SSO is enforced no more" bg idp unenforce node
until_true "carol's password works again" as_carol
check "the Owner is back" as_owner
check "the audit chain holds" bg audit verify
nowhere "no secret that was typed stands anywhere" "$CANARY"
check "the engine stops" bg engine stop
