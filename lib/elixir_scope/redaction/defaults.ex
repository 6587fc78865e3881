# The names under which programs keep what nobody else should see.
defmodule ElixirScope.Redaction.Defaults do
  @moduledoc false

  # The last two are Phoenix': a text that is made of the session's token, and a whole page with its token against forgery, which
  # would also be most of what a recorded connection costs.
  @keys ~w(password passwd passphrase pwd secret token authorization cookie set_cookie api_key apikey private_key access_key
           credentials credit_card card_number cvv ssn live_socket_id inner_content)
  @patterns ~w(*password* *_secret secret_* *_token *_api_key *_access_key *authorization *_cookie)

  @doc "All of them, as they are compared."
  @spec names() :: [String.t()]
  def names, do: @keys ++ @patterns

  @doc "All of them in a sentence."
  @spec listed() :: String.t()
  def listed, do: Enum.join(names(), ", ")

  @doc "All of them as documentation shows them."
  @spec text() :: String.t()
  def text, do: "#{quoted(@keys)}, and the patterns #{quoted(@patterns)}."

  defp quoted(names), do: Enum.map_join(names, ", ", &"`#{&1}`")
end
