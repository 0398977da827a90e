"""`millicent doctor`: is this installation well, and if not, what to do."""

from dataclasses import asdict

import typer

from millicent.config.output import JSON_OPTION, say, show_json, show_table

app = typer.Typer(help="Check this installation and say what to mend.")


@app.command()
def doctor(
    warm: bool = typer.Option(False, "--warm", help="First compile the loops, so that nobody waits for them."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Look at everything this installation stands on. Ends with 1 when something fails; warnings are no failure."""
    from millicent.config.doctor import Level, examine
    from millicent.config.settings import settings

    if warm:
        from millicent.config.warming import compile_charging_loop, compile_pricing_loop

        say("Compiling the loops of pricing and charging: minutes the first time, a moment later on.")
        say(f"Compiled in {compile_pricing_loop() + compile_charging_loop()} seconds.")
    findings = list(examine(settings()))
    if as_json:
        show_json([asdict(each) for each in findings])
    else:
        rows = [(each.level.value, each.what, each.found, each.cure) for each in findings]
        show_table("Millicent's health", ("state", "what", "found", "cure"), rows, as_json=False)
    if any(each.level is Level.FAIL for each in findings):
        raise typer.Exit(1)
