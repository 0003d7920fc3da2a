"""`holdfast config`: which settings are in force and where each comes from; whether they are valid.

In: a file, the environment, options. Out: on stdout what was asked for. Always: nothing is started and nothing written;
passwords are not shown; what `check` accepts, `serve` accepts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from holdfast.cli.console import DONE, FOUND_WRONG, PATH, CouldNotRunError, Json, remarks, results, write_json
from holdfast.cli.settings_options import Assignments, Config, settings_from
from holdfast.settings.reference import starting_file
from holdfast.settings.resolve import InvalidSettingsError, Resolved, resolve
from holdfast.settings.sources import Fault, UnreadableError
from holdfast.settings.values import as_text, shown

_HELP = """Which settings are in force, and whether they are valid.

An option wins over an environment variable, a variable over the file, the file over the default.

```
holdfast config show --defaults > holdfast.toml    # a file to start from
holdfast config check holdfast.toml
holdfast config show --config holdfast.toml        # what is in force, and where each value comes from
```
"""
RULES = (
    "[rules] are replicated: these take effect when a process that was started with them leads next, and then on every "
    "process of the scope."
)
_OTHERS_MAY_READ = 0o044

app = App(name="config", help=_HELP, help_format="markdown")


@app.command
def show(
    *,
    config: Config = None,
    assignments: Assignments = None,
    defaults: Annotated[
        bool, Parameter(negative="", show_default=False, help="Print a TOML file with all defaults, commented out.")
    ] = False,
    changed: Annotated[bool, Parameter(negative="", show_default=False, help="Only what is not the default.")] = False,
    json: Json = False,
) -> int:
    """Show what a `serve` that is started now would use, and where each value comes from.

    ```
    holdfast config show --config holdfast.toml
    holdfast config show --changed
    ```
    """
    if defaults:
        results.print(starting_file(), markup=False, end="")
        return DONE
    found = settings_from(config, assignments=assignments).with_derived()
    definitions = found.definitions
    keys = [key for key in definitions if not changed or found.origins[key].kind != "default"]
    if json:
        write_json(document(found, keys))
        return DONE
    rows = [(key, as_text(definitions[key], found.values[key]), str(found.origins[key])) for key in keys]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for key, value, origin in rows:
        results.print(f"{key:{widths[0]}}  {value:{widths[1]}}  {origin}", markup=False)
    remarks.print(RULES, markup=False)
    _remark_ignored(found.ignored)
    return DONE


def document(found: Resolved, keys: Sequence[str]) -> dict[str, Any]:
    """For a machine: each setting's value, its origin, and what it may be."""
    rows = {}
    definitions = found.definitions
    for key in keys:
        one, origin = definitions[key], found.origins[key]
        rows[key] = {
            "value": shown(one, found.values[key]),
            "from": origin.kind,
            "where": origin.where or None,
            "default": one.default,
            "unit": one.unit or None,
            "lowest": one.lowest,
            "highest": one.highest,
            "replicated": one.section == "rules",
        }
    return {"file": str(found.file) if found.file else None, "settings": rows, "ignored": list(found.ignored)}


@app.command
def check(
    file: Annotated[Path | None, PATH, Parameter(help="A TOML file of settings.")] = None,
    /,
    *,
    config: Config = None,
    json: Json = False,
) -> int:
    """Check a file and the environment variables, and name every fault. Exit status 1: there is one.

    ```
    holdfast config check holdfast.toml
    ```
    """
    if file is not None and config is not None and file != config:
        raise CouldNotRunError(f"two files were named, {file} and {config}", "Name one.")
    faults: list[Fault] = []
    found: Resolved | None = None
    try:
        found = resolve(file or config)
    except UnreadableError as error:
        raise CouldNotRunError(str(error), "Name a TOML file that can be read.") from error
    except InvalidSettingsError as error:
        faults = error.faults
    if json:
        write_json({"faults": [{"where": one.where, "what": one.what} for one in faults]})
    else:
        for one in faults:
            results.print(str(one), markup=False)
        if found is not None:
            results.print(_sound(found), markup=False)
    if found is not None:
        _remark_ignored(found.ignored)
        _remark_secrets(found)
    return FOUND_WRONG if faults else DONE


def _sound(found: Resolved) -> str:
    kinds = [origin.kind for origin in found.origins.values()]
    file = f"{kinds.count('file')} from {found.file}, " if found.file is not None else ""
    return f"The settings are valid: {file}{kinds.count('variable')} from the environment."


def _remark_ignored(names: Sequence[str]) -> None:
    for name in names:
        remarks.print(f"{name} is not a setting; it is ignored.", markup=False)


def _remark_secrets(found: Resolved) -> None:
    """A password in a file that others may read."""
    for key, one in found.definitions.items():
        if not one.secret or found.origins[key].kind != "file" or found.file is None:
            continue
        if shown(one, found.values[key]) != found.values[key] and found.file.stat().st_mode & _OTHERS_MAY_READ:
            remarks.print(f"{found.file} has a password in {key}, and others may read it: chmod 600", markup=False)
