# NAME SECONDS SUDO ENGINE: waits, then removes the container.
name=$1 seconds=$2 sudo=$3 engine=$4
trap '' HUP
trap 'kill "$!"; exit 0' TERM
sleep "$seconds" &
wait "$!"
for _ in 1 2 3 4 5 6; do
    # shellcheck disable=SC2086 # It is nothing, or `sudo -n`.
    $sudo "$engine" rm --force "$name" && exit 0
    sleep 10
done
