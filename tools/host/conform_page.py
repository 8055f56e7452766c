"""conformance.html: one file, no network, a row per requirement with a plot to open."""

import html


def page(results, told):
    """The whole page for the results; `told` says how they were made."""
    rows = "".join("<tr>%s</tr>" % "".join("<td>%s</td>" % html.escape(str(value))
                                            for value in result.row().values())
                   for result in results)
    return "<!doctype html><meta charset=utf-8><p>%s</p><table>%s</table>" % (told, rows)
