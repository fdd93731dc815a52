"""A site for the tests of the JavaScript client. ``tests.browser.site`` runs it."""
