"""Notices as mails: written from templates, sent over SMTP, kept in a mailbox. Usable from a Python prompt."""
