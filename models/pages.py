"""Where people's browsers find things: paths below the hub's base URL. Mails link to them, the web serves them."""


def product_page(publisher_slug: str, slug: str) -> str:
    return f"/products/{publisher_slug}/{slug}"


def submission_page(submission: str) -> str:
    return f"/submissions/{submission}"


def publisher_page(publisher: str) -> str:
    return f"/publishers/{publisher}"


def confirm_email_page(token: str) -> str:
    """Opens a page with a button: the link alone confirms nothing."""
    return f"/confirm/{token}"


def confirm_subscription_page(token: str) -> str:
    return f"/subscribe/{token}"


def unsubscribe_page(token: str) -> str:
    """A GET shows a page with a button; a POST ends the subscription (RFC 8058, one-click)."""
    return f"/unsubscribe/{token}"
