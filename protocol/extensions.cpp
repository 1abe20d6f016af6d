#include "protocol/extensions.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

namespace webshocket::protocol {
namespace {

constexpr std::string_view kName = "permessage-deflate";
constexpr std::string_view kServerForgets = "server_no_context_takeover";
constexpr std::string_view kClientForgets = "client_no_context_takeover";
constexpr std::string_view kServerWindow = "server_max_window_bits";
constexpr std::string_view kClientWindow = "client_max_window_bits";

struct Parameter {
  std::string_view name;
  std::optional<std::string> value;
};

struct Extension {
  std::string_view name;
  std::vector<Parameter> parameters;
};

/// Reads RFC 6455, section 9.1: `name; parameter; parameter=value; parameter="value", name`.
class ExtensionReader {
 public:
  explicit ExtensionReader(std::string_view text) noexcept : text_(text) {}

  /// The next one; nothing at the end, and behind what breaks the grammar.
  std::optional<Extension> next() {
    while (skips(',')) {
    }
    Extension extension;
    extension.name = token();
    if (extension.name.empty()) return std::nullopt;
    while (skips(';')) {
      Parameter parameter{token(), std::nullopt};
      if (parameter.name.empty()) return std::nullopt;
      if (skips('=')) {
        parameter.value = value();
        if (!is_token(*parameter.value)) return std::nullopt;
      }
      extension.parameters.push_back(std::move(parameter));
    }
    text_ = trim_blanks(text_);
    if (!text_.empty() && text_.front() != ',') return std::nullopt;
    return extension;
  }

  bool at_end() const noexcept { return trim_blanks(text_).empty(); }

 private:
  bool skips(char c) noexcept {
    text_ = trim_blanks(text_);
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::string_view token() noexcept {
    text_ = trim_blanks(text_);
    std::size_t size = 0;
    while (size < text_.size() && is_token(text_.substr(size, 1))) ++size;
    const std::string_view taken = text_.substr(0, size);
    text_.remove_prefix(size);
    return taken;
  }

  /// Empty if it is none.
  std::string value() {
    if (!skips('"')) return std::string(token());
    std::string unquoted;
    while (!text_.empty() && text_.front() != '"') {
      if (text_.front() == '\\') text_.remove_prefix(1);
      if (text_.empty()) return {};
      unquoted += text_.front();
      text_.remove_prefix(1);
    }
    return skips('"') ? unquoted : std::string();
  }

  std::string_view text_;
};

/// 8 to 15, in decimal, without a leading zero.
std::optional<int> window_bits(std::string_view text) noexcept {
  int bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc() || end != text.data() + text.size() || text.front() == '0') return {};
  if (bits < 8 || bits > kMostWindowBits) return {};
  return bits;
}

/// The four parameters, as one end wrote them.
struct Parameters {
  bool server_forgets = false;
  bool client_forgets = false;
  std::optional<int> server_window;
  std::optional<int> client_window;
  bool names_client_window = false;  ///< maybe without a value

  /// Nothing for what RFC 7692 does not know, or has said otherwise. `of`: who wrote it.
  static std::optional<Parameters> read(const Extension& extension, Role of) {
    Parameters all;
    for (const Parameter& parameter : extension.parameters) {
      if (!all.take(parameter, of)) return std::nullopt;
    }
    return all;
  }

 private:
  bool take(const Parameter& parameter, Role of) {
    const auto flag = [&](bool& is_set) {
      return !parameter.value && !std::exchange(is_set, true);
    };
    const auto window = [&](std::optional<int>& bits) {
      if (bits || !parameter.value) return false;
      bits = window_bits(*parameter.value);
      return bits.has_value();
    };
    if (parameter.name == kServerForgets) return flag(server_forgets);
    if (parameter.name == kClientForgets) return flag(client_forgets);
    if (parameter.name == kServerWindow) return window(server_window);
    if (parameter.name != kClientWindow || std::exchange(names_client_window, true)) return false;
    // Without a value a client says that it can be told one.
    return (!parameter.value && of == Role::client) || window(client_window);
  }
};

void add(std::string& text, std::string_view name) {
  text += "; ";
  text += name;
}

void add(std::string& text, std::string_view name, int value) {
  add(text, name);
  text += '=' + std::to_string(value);
}

DeflateAnswer answer(const Parameters& offer, const Compression& settings) {
  DeflateAnswer answer{.terms = {}, .text = std::string(kName)};
  DeflateTerms& terms = answer.terms;
  terms.server_no_context_takeover = offer.server_forgets || !settings.context;
  if (terms.server_no_context_takeover) add(answer.text, kServerForgets);
  terms.client_no_context_takeover = offer.client_forgets || !settings.peer_context;
  if (terms.client_no_context_takeover) add(answer.text, kClientForgets);
  // An offer of a window is kept by naming one. Unasked, a smaller one saves the client memory.
  terms.server_window_bits =
      std::min(settings.window_bits, offer.server_window.value_or(kMostWindowBits));
  if (offer.server_window || terms.server_window_bits != kMostWindowBits) {
    add(answer.text, kServerWindow, terms.server_window_bits);
  }
  terms.client_window_bits = offer.client_window.value_or(kMostWindowBits);
  if (offer.names_client_window && !terms.client_no_context_takeover) {
    // It saves memory of ours, where there is any.
    terms.client_window_bits = std::min(terms.client_window_bits, settings.window_bits);
    add(answer.text, kClientWindow, terms.client_window_bits);
  }
  return answer;
}

/// All of a header's lines are one list.
template <class Visit>
void for_each_extension(const HttpFields& fields, Visit&& visit) {
  for (const HttpHeader& header : fields.headers) {
    if (!same_text(header.name, kExtensionsHeader)) continue;
    ExtensionReader reader(header.value);
    while (const std::optional<Extension> extension = reader.next()) visit(*extension);
  }
}

bool is_well_formed(std::string_view header) {
  ExtensionReader reader(header);
  while (reader.next()) {
  }
  return reader.at_end();
}

}  // namespace

std::optional<DeflateAnswer> accept_deflate(const HttpFields& request,
                                            const Compression& settings) {
  std::optional<DeflateAnswer> accepted;
  if (!settings.enabled) return accepted;
  for_each_extension(request, [&](const Extension& extension) {
    if (accepted || extension.name != kName) return;
    if (const auto offer = Parameters::read(extension, Role::client)) {
      accepted = answer(*offer, settings);
    }
  });
  return accepted;
}

std::string deflate_offer(const Compression& settings) {
  std::string text(kName);
  if (!settings.peer_context) add(text, kServerForgets);
  if (!settings.context) add(text, kClientForgets);
  if (settings.peer_context && settings.window_bits != kMostWindowBits) {
    add(text, kServerWindow, settings.window_bits);
  }
  add(text, kClientWindow);
  return text;
}

std::variant<std::optional<DeflateTerms>, std::string> read_deflate_reply(
    const HttpFields& reply, const Compression& settings) {
  std::optional<DeflateTerms> terms;
  std::string complaint;
  const auto complain = [&](std::string_view what) {
    if (complaint.empty()) complaint = "The server's extensions: " + std::string(what);
  };
  for (const HttpHeader& header : reply.headers) {
    if (same_text(header.name, kExtensionsHeader) && !is_well_formed(header.value)) {
      complain("no list of them");
    }
  }
  for_each_extension(reply, [&](const Extension& extension) {
    if (!settings.enabled || extension.name != kName) {
      return complain(std::string(extension.name) + " was not offered");
    }
    if (terms) return complain(std::string(kName) + " stands there twice");
    const auto chosen = Parameters::read(extension, Role::server);
    if (!chosen) return complain(std::string(kName) + " has parameters that it cannot have");
    const bool asks_for_window = settings.peer_context;
    if (asks_for_window && chosen->server_window.value_or(kMostWindowBits) > settings.window_bits) {
      return complain("a larger " + std::string(kServerWindow) + " than was offered");
    }
    terms =
        DeflateTerms{.server_no_context_takeover = chosen->server_forgets,
                     .client_no_context_takeover = chosen->client_forgets || !settings.context,
                     .server_window_bits = chosen->server_window.value_or(kMostWindowBits),
                     .client_window_bits = std::min(chosen->client_window.value_or(kMostWindowBits),
                                                    settings.window_bits)};
  });
  if (!complaint.empty()) return complaint;
  return terms;
}

}  // namespace webshocket::protocol
