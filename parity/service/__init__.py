"""The process that attends a kept stack: the AWS API of one account, whose instances are containers of the stack."""
