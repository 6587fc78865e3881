defmodule ElixirScope.Case.Form.Message do
  @moduledoc false
  # `assert_message` and `assert_exited` as they are written, to what `ElixirScope.Case.Messaged` and `ElixirScope.Case.Exited` are given.

  alias ElixirScope.Case.Form

  @spec parse(Macro.t(), Macro.t(), Macro.t(), Macro.Env.t(), String.t()) :: {Macro.t(), Macro.t()}
  def parse({:~>, _, [from, to]} = route, pattern, options, caller, macro) do
    options = Form.options(options, [:within], caller, macro)
    {matcher, variables, expected, text} = Form.pattern(pattern, caller)

    asked =
      quote do
        %{
          from: unquote(ending(from)),
          to: unquote(ending(to)),
          matcher: unquote(matcher),
          expected: unquote(expected),
          text: unquote("#{Macro.to_string(route)}, #{text}"),
          within: unquote(options[:within])
        }
      end

    {asked, variables}
  end

  def parse(other, _pattern, _options, caller, macro) do
    Form.fail(
      caller,
      "#{macro} expects two processes, such as `#{macro} self() ~> server, pattern` (`_` for anybody), got: #{Macro.to_string(other)}"
    )
  end

  defp ending({:_, _, context}) when is_atom(context), do: :_
  # A pin is a habit of patterns, and says the same.
  defp ending({:^, _, [process]}), do: process
  defp ending(process), do: process

  @spec exited(Macro.t(), Macro.t(), Macro.t(), Macro.Env.t()) :: {Macro.t(), Macro.t()}
  def exited(process, pattern, options, caller) do
    options = Form.options(options, [:within], caller, "assert_exited")
    {matcher, variables, expected, text} = Form.pattern(pattern, caller)

    asked =
      quote do
        %{
          process: unquote(process),
          matcher: unquote(matcher),
          expected: unquote(expected),
          text: unquote("#{Macro.to_string(process)}, #{text}"),
          within: unquote(options[:within])
        }
      end

    {asked, variables}
  end
end
