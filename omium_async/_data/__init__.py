"""The rules for users' data: what JSON it becomes, and how it is read back. Shared by the client and LocalOmium."""
