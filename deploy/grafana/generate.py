#!/usr/bin/env python3
"""Makes Grafana's dashboards out of the descriptions in source/: one TOML file a dashboard, one JSON file of the same name in dashboards/.

    deploy/grafana/generate.py            after a description was changed: writes the dashboards
    deploy/grafana/generate.py --check    says whether they are what the descriptions give, and ends with 1 if not

A description has a title, a uid, a text, and rows of panels. Each panel has a title, a text (what it tells and what to do about it), a unit,
and its queries: `[expr, legend]` pairs, or one `expr`. Kinds: `lines` (the default), `stack`, `stat`, `table`. `$by` in a query stands for the
filter by the process that is chosen at the top.
"""

import json
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = sorted(HERE.glob("source/*.toml"))
SCHEMA = 39
COLUMNS = 24
KEYS = {"title", "text", "unit", "expr", "queries", "legend", "kind", "width", "height", "bad", "warn", "to", "max", "digits"}
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
NOTHING = "no data"


def made(source):
    """The dashboard of a description."""
    described = tomllib.loads(source.read_text())
    panels, y = [], 0
    for row in described["row"]:
        panels.append({"type": "row", "id": len(panels) + 1, "title": row["title"], "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y}})
        y += 1
        x = tallest = 0
        for panel in row["panel"]:
            wrong = set(panel) - KEYS
            if wrong:
                raise SystemExit(f"{source.name}: {panel['title']}: there is no {', '.join(sorted(wrong))}")
            width, height = panel.get("width", 8), panel.get("height", 8)
            if x + width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            panels.append(drawn(panel, len(panels) + 1) | {"gridPos": {"h": height, "w": width, "x": x, "y": y}})
            x, tallest = x + width, max(tallest, height)
        y += tallest
    return {
        "uid": described["uid"],
        "title": described["title"],
        "description": described["text"],
        "tags": ["loglake"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "title": "Loglake", "tags": ["loglake"], "asDropdown": False, "keepTime": True,
                   "includeVars": True, "icon": "external link", "targetBlank": False, "tooltip": "", "url": ""}],
        "annotations": {"list": [alerts()]},
        "templating": {"list": [datasource()] + [variable(one) for one in described.get("variable", [])]},
        "panels": panels,
    }


def alerts():
    """A mark wherever an alert of ours fired."""
    return {"name": "Alerts", "datasource": PROMETHEUS, "enable": True, "iconColor": "red", "titleFormat": "{{alertname}}",
            "expr": 'ALERTS{alertname=~"Loglake.+", alertstate="firing"}', "step": "60s"}


def datasource():
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0}


def variable(of):
    """A choice at the top of the dashboard: of label values, or of fixed texts."""
    common = {"name": of["name"], "label": of["label"], "hide": 0}
    if "choices" in of:
        options = [{"text": text, "value": text, "selected": text == of["choices"][0]} for text in of["choices"]]
        return common | {"type": "custom", "query": ",".join(of["choices"]), "options": options, "current": options[0]}
    return common | {"type": "query", "datasource": PROMETHEUS, "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
                     "allValue": ".+", "current": {"text": ["All"], "value": ["$__all"]},
                     "query": {"qryType": 1, "query": of["values"], "refId": of["name"]}, "definition": of["values"]}


def drawn(panel, number):
    """A panel of Grafana."""
    kind = panel.get("kind", "lines")
    queries = panel.get("queries") or [[panel["expr"], panel.get("legend", panel["title"])]]
    targets = [target(expr, legend, chr(ord("A") + at), kind) for at, (expr, legend) in enumerate(queries)]
    defaults = {"unit": panel["unit"], "noValue": NOTHING, "color": {"mode": "palette-classic"}, "thresholds": thresholds(panel)}
    if "digits" in panel:
        defaults["decimals"] = panel["digits"]
    common = {"id": number, "title": panel["title"], "description": panel["text"], "datasource": PROMETHEUS, "targets": targets}
    if "to" in panel:
        common["links"] = [{"title": "More", "url": f"/d/{panel['to']}?${{__url_time_range}}&${{datasource:queryparam}}"}]
    if kind == "stat":
        defaults["color"] = {"mode": "thresholds"}
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value",
                   "graphMode": "area", "textMode": "auto", "justifyMode": "auto", "orientation": "auto"}
        return common | {"type": "stat", "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options}
    if kind == "table":
        defaults["color"] = {"mode": "thresholds"}
        merged = [{"id": "merge", "options": {}}, {"id": "organize", "options": {"excludeByName": {"Time": True}}}]
        names = [{"matcher": {"id": "byName", "options": f"Value #{one['refId']}" if len(targets) > 1 else "Value"},
                  "properties": [{"id": "displayName", "value": one["legendFormat"]}]} for one in targets]
        return common | {"type": "table", "fieldConfig": {"defaults": defaults, "overrides": names}, "transformations": merged,
                         "options": {"showHeader": True, "cellHeight": "sm"}}
    defaults["min"] = 0
    if "max" in panel:
        defaults["max"] = panel["max"]
    is_stack = kind == "stack"
    defaults["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if is_stack else 8, "showPoints": "never",
                          "spanNulls": False, "stacking": {"mode": "normal" if is_stack else "none", "group": "A"},
                          "thresholdsStyle": {"mode": "line" if "warn" in panel or "bad" in panel else "off"}}
    options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    return common | {"type": "timeseries", "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options}


def thresholds(panel):
    steps = [{"color": "green", "value": None}]
    steps += [{"color": color, "value": panel[name]} for name, color in (("warn", "orange"), ("bad", "red")) if name in panel]
    return {"mode": "absolute", "steps": steps}


def target(expr, legend, name, kind):
    by = 'instance=~"$instance"'
    of = {"refId": name, "datasource": PROMETHEUS, "expr": " ".join(expr.split()).replace("$by", by), "legendFormat": legend}
    if kind == "table":
        return of | {"instant": True, "range": False, "format": "table"}
    return of | {"instant": False, "range": True}


def main(arguments):
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 64
    is_right = True
    for source in SOURCES:
        path = HERE / "dashboards" / f"{source.stem}.json"
        text = json.dumps(made(source), indent=1, ensure_ascii=False) + "\n"
        if not arguments:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.name} is not what {source.name} gives: run deploy/grafana/generate.py", file=sys.stderr)
            is_right = False
    left = {path.stem for path in HERE.glob("dashboards/*.json")} - {source.stem for source in SOURCES}
    if left:
        print(f"no description gives {', '.join(sorted(left))}", file=sys.stderr)
        is_right = False
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
