#!/bin/sh
# Deploy a revision to a group's instances in place, found as deploy tools find them; with the AWS CLI.
#
#   parity up compose/rabbitmq+deployed-from-git
#   eval "$(parity env)"
#   examples/deploy.sh worker main
#
# deploy.py beside it does the same, and says what it does not do.
set -eu
group=${1:?usage: deploy.sh GROUP [REVISION]}
revision=${2:-main}

ids=$(aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names "$group" --output text \
  --query 'AutoScalingGroups[].Instances[?LifecycleState==`InService`][].InstanceId')
[ -n "$ids" ] || { echo "no instance of $group is in service" >&2; exit 1; }

# shellcheck disable=SC2086  # ids are words, and several
aws ec2 describe-instances --instance-ids $ids --output text \
  --query 'Reservations[].Instances[].[InstanceId,PrivateIpAddress]' |
while read -r id address; do
  # An instance is a container: where it is a machine, these would be commands by SSH to its address.
  container=$(docker ps --quiet --filter "label=dev.parity.instance=$id")
  revision=$(docker exec "$container" python3 /app/revision.py "$revision")
  docker exec "$container" sh -c 'kill -HUP 1'
  tries=0
  until docker logs "$container" 2>/dev/null | grep '^revision ' | tail -n 1 | grep -qx "revision $revision"; do
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || { echo "$id: the worker does not say that it runs $revision" >&2; exit 1; }
    sleep 0.2
  done
  echo "$id $address $revision"
done
