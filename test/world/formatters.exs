# What ExUnit is told in a suite that Mix does not start.
Application.load(:ex_unit)
Application.put_env(:ex_unit, :formatters, [World.Outcomes, ExUnit.CLIFormatter])
Application.put_env(:ex_unit, :seed, 0)
