"""What is in S3 outlives the endpoint's process, however that ends."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from parity.aws.buckets import Buckets
from parity.aws.others import Others
from parity.errors import RecordError

TAGS = [{"Key": "kind", "Value": "log"}]


@contextmanager
def served(folder):
    """A client of an endpoint in a process of its own, which is killed."""
    command = [sys.executable, "-m", "parity.aws", "--port", "0", "--state", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        url = process.stdout.readline().strip()
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "k", "region_name": "us-east-1"}
        yield boto3.client("s3", endpoint_url=url, config=Config(retries={"max_attempts": 1}), **keys)
    finally:
        process.kill()
        process.wait()


def listed(s3, bucket="archive"):
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_objects_and_buckets_outlive_the_process(tmp_path):
    with served(tmp_path) as s3:
        for bucket in ("archive", "versions", "emptied"):
            s3.create_bucket(Bucket=bucket)
        for key in ("i-1/1", "i-1/2", "i-2/a b%2Fc", "i-2/2"):
            s3.put_object(Bucket="archive", Key=key, Body=key.encode(), Metadata={"under_score": key[0]})
        s3.put_object(Bucket="archive", Key="i-1/1", Body=b"again", ContentType="text/plain")
        s3.put_object_tagging(Bucket="archive", Key="i-1/2", Tagging={"TagSet": TAGS})
        s3.copy_object(Bucket="archive", Key="copy", CopySource={"Bucket": "archive", "Key": "i-2/2"})
        s3.delete_object(Bucket="archive", Key="i-2/2")
        s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
        first = s3.put_object(Bucket="versions", Key="k", Body=b"1")["VersionId"]
        s3.put_object(Bucket="versions", Key="k", Body=b"2")
        s3.delete_object(Bucket="versions", Key="k")
        s3.put_object(Bucket="emptied", Key="k", Body=b"1")
        s3.delete_objects(Bucket="emptied", Delete={"Objects": [{"Key": "k"}]})
        s3.create_bucket(Bucket="gone")
        s3.delete_bucket(Bucket="gone")
        upload = s3.create_multipart_upload(Bucket="archive", Key="parts")["UploadId"]
        part = s3.upload_part(Bucket="archive", Key="parts", UploadId=upload, PartNumber=1, Body=b"p")["ETag"]
        parts = {"Parts": [{"ETag": part, "PartNumber": 1}]}
        s3.complete_multipart_upload(Bucket="archive", Key="parts", UploadId=upload, MultipartUpload=parts)
        before = s3.list_objects_v2(Bucket="archive")["Contents"]

    with served(tmp_path) as s3:
        assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == ["archive", "emptied", "versions"]
        assert s3.list_objects_v2(Bucket="archive")["Contents"] == before
        assert listed(s3) == ["copy", "i-1/1", "i-1/2", "i-2/a b%2Fc", "parts"]
        got = s3.get_object(Bucket="archive", Key="i-1/1")
        assert (got["Body"].read(), got["ContentType"]) == (b"again", "text/plain")
        got = s3.get_object(Bucket="archive", Key="i-2/a b%2Fc")
        assert (got["Body"].read(), got["Metadata"]) == (b"i-2/a b%2Fc", {"under_score": "i"})
        assert s3.get_object_tagging(Bucket="archive", Key="i-1/2")["TagSet"] == TAGS
        assert s3.get_object(Bucket="versions", Key="k", VersionId=first)["Body"].read() == b"1"
        with pytest.raises(ClientError, match="NoSuchKey"):
            s3.get_object(Bucket="versions", Key="k")
        assert listed(s3, "emptied") == []
        s3.put_object(Bucket="archive", Key="i-3/1", Body=b"x")

    with served(tmp_path) as s3:
        assert "i-3/1" in listed(s3)
        with pytest.raises(ClientError, match=r"BucketAlreadyExists|BucketAlreadyOwnedByYou"):
            client_of_another_region(s3).create_bucket(
                Bucket="archive", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )


def client_of_another_region(s3):
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "k", "region_name": "eu-west-1"}
    return boto3.client("s3", endpoint_url=s3.meta.endpoint_url, config=Config(retries={"max_attempts": 1}), **keys)


def test_what_is_no_database_is_said(tmp_path):
    path = tmp_path / "buckets.sqlite"
    path.write_bytes(b"this is none, and long enough to be taken for one" * 100)
    with pytest.raises(RecordError, match="cannot be used"):
        Buckets(path, "000000000000")


def test_what_cannot_be_written_is_not_answered_as_done(tmp_path, caplog):
    others = Others("111122223333", tmp_path)
    assert others.request("PUT", "/kept", {}.items(), b"").status == 200
    (others._buckets)._database.close()
    assert others.request("PUT", "/kept/key", {}.items(), b"x").status == 500
    assert "broke off" in caplog.text
