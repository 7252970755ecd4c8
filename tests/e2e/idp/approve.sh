#!/usr/bin/env bash
# The person at the browser: types a code at the identity provider, signs in, and decides.
#
#   tests/e2e/idp/approve.sh ISSUER USER_CODE PERSON [approve|deny]
#
# Ends with 0 once the identity provider has taken the decision in. The forms are those of
# `devInteractions` of oidc-provider.

set -euo pipefail

issuer=$1 code=$2 person=$3 decision=${4:-approve}

room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

# page ARGS...: asks for a page, with the cookies of this person; prints it. Where it leads is in
# $room/next, empty where it leads nowhere.
page() {
    curl --silent --show-error --max-time 20 --cookie "$room/cookies" --cookie-jar "$room/cookies" \
        --output "$room/page" --write-out '%{redirect_url}' "$@" >"$room/next"
    cat "$room/page"
}

next() { cat "$room/next"; }

stop() {
    echo "approve.sh: $*" >&2
    sed -e 's/<style>.*<\/style>//' -e 's/<[^>]*>//g' "$room/page" | grep -v '^ *$' | head -n 20 >&2
    exit 1
}

# hidden NAME: the value of a hidden field of the page.
hidden() { sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" "$room/page" | head -n 1; }

page "$issuer/device?user_code=$code" >/dev/null
xsrf=$(hidden xsrf)
[ -n "$xsrf" ] || stop "no form for the code"
page --data-urlencode "xsrf=$xsrf" --data-urlencode "user_code=$code" "$issuer/device" >/dev/null
xsrf=$(hidden xsrf)
[ -n "$xsrf" ] || stop "the code was not taken"

if [ "$decision" = deny ]; then
    page --data-urlencode "xsrf=$xsrf" --data-urlencode "user_code=$code" --data abort=yes \
        "$issuer/device" >/dev/null
    grep -qi 'interrupted\|aborted\|cancel\|denied' "$room/page" || stop "the refusal was not taken in"
    echo "denied"
    exit 0
fi

page --data-urlencode "xsrf=$xsrf" --data-urlencode "user_code=$code" --data confirm=yes \
    "$issuer/device" >/dev/null
while [ -n "$(next)" ]; do
    at=$(next)
    page "$at" >/dev/null
    case $at in
    */interaction/*)
        prompt=$(hidden prompt)
        [ -n "$prompt" ] || stop "no form at $at"
        page --data-urlencode "prompt=$prompt" --data-urlencode "login=$person" --data password=any \
            "$at" >/dev/null
        ;;
    esac
done
grep -qi 'success' "$room/page" || stop "the sign-in did not succeed"
echo "approved"
