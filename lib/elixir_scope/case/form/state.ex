defmodule ElixirScope.Case.Form.State do
  @moduledoc false
  # `assert_state` as it is written, to what `ElixirScope.Case.Stated` is given.

  alias ElixirScope.Case.Form

  @spec parse(Macro.t(), Macro.t(), Macro.t(), Macro.Env.t()) :: {Macro.t(), Macro.t()}
  def parse(server, pattern, options, caller) do
    {when_, options} = when_(options, caller)
    {matcher, variables, expected, text} = Form.pattern(pattern, caller)

    asked =
      quote do
        %{
          server: unquote(server),
          matcher: unquote(matcher),
          expected: unquote(expected),
          text: unquote("#{Macro.to_string(server)}, #{text}"),
          when: unquote(when_),
          within: unquote(options[:within])
        }
      end

    {asked, variables}
  end

  defp when_(which, _caller) when which in [:ever, :always], do: {which, []}

  defp when_([which | options], caller) when which in [:ever, :always],
    do: {which, Form.options(options, [:within], caller, "assert_state")}

  defp when_(options, caller) do
    if Keyword.keyword?(options) do
      case Keyword.pop(Form.options(options, [:at, :within], caller, "assert_state"), :at, :now) do
        {:now, options} -> {:now, options}
        {time, options} -> {{:at, time}, options}
      end
    else
      Form.fail(
        caller,
        "assert_state expects :ever, :always, at: time or nothing behind the pattern, got: #{Macro.to_string(options)}"
      )
    end
  end
end
