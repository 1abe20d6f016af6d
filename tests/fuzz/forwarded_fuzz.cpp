// The first line names the header, the second lists trusted blocks, the third is the peer; each
// further line is a header's value. Whatever a client puts in front, the word of a trusted proxy
// behind it is understood; and nobody else is believed.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/forwarded.hpp"
#include "tests/fuzz/lines.hpp"

using namespace webshocket::protocol;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_element(std::string_view element) {
  for (const auto& address : {parse_listed_address(element), parse_forwarded_element(element)}) {
    if (!address) continue;
    require(address->family == 4 || address->family == 6);
    // Written down again, it is the same, for either header.
    const std::string text = address->to_string();
    require(parse_listed_address(text) == address);
    require(parse_forwarded_element("for=\"" + text + '"') == address);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool standard = take_line(text) == "Forwarded";
  const ForwardedRules rules{standard ? "Forwarded" : "X-Forwarded-For", 16};

  Networks trusted;
  for_each_element(take_line(text), [&](std::string_view block) {
    const auto parsed = Network::parse(block);
    if (const auto* network = std::get_if<Network>(&parsed)) {
      trusted.add(*network);
      const auto base = Address::parse(block.substr(0, block.find('/')));
      require(network->contains(base.value_or(Address())));
    } else {
      require(!std::get<std::string_view>(parsed).empty());
    }
    return true;
  });
  const Address peer = Address::parse(take_line(text)).value_or(Address());

  HttpFields fields;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    check_element(line);
    fields.headers.push_back({std::string(rules.header), std::string(line)});
  }
  const Address client = forwarded_for(fields, peer, trusted, rules);
  require(trusted.contains(peer) || client == peer);
  require(forwarded_for(fields, peer, {}, rules) == peer);
  require(forwarded_for(fields, peer, trusted, {"X-Other", 16}) == peer);

  const Address said = Address::parse("2001:db8::77").value();
  if (!trusted.contains(peer) || trusted.contains(said)) return 0;
  const std::string_view word =
      standard ? ", for=\"[2001:db8::77]\";host=\"a,b\\\"c\\\\\"" : ", 2001:db8::77";
  HttpFields same_line = fields;
  if (same_line.headers.empty()) same_line.headers.push_back({std::string(rules.header), ""});
  same_line.headers.back().value += word;
  require(forwarded_for(same_line, peer, trusted, rules) == said);
  HttpFields next_line = fields;
  next_line.headers.push_back({std::string(rules.header), std::string(word.substr(2))});
  require(forwarded_for(next_line, peer, trusted, rules) == said);
  return 0;
}
