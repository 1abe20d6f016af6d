/// Conversations as data: what a peer sends, byte by byte, and what must come back. Every row is
/// played against our server and against our client, which both echo each message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/raw_peer.hpp"

namespace webshocket::test::script {

/// Who is tested; the peer plays the other one.
enum class Subject : std::uint8_t { server, client };

/// What both subjects are configured with.
inline constexpr std::size_t kMaxMessage = 1024 * 1024;

/// A frame that is sent, masked as the peer's part wants it; or one that is awaited.
struct Piece {
  SentFrame frame = {};
  bool wrong_mask = false;                       ///< masked like the other part's
  std::optional<std::size_t> payload_sent = {};  ///< only so much of it; the header says all

  std::string bytes(Subject subject) const;
};

inline constexpr bool kMore = false;  ///< as `fin`: the message goes on

Piece text(std::string payload, bool fin = true);
Piece binary(std::string payload, bool fin = true);
/// A CONTINUATION.
Piece next(std::string payload, bool fin = true);
Piece ping(std::string payload = {});
Piece pong(std::string payload = {});
/// `code` 0: an empty body.
Piece close(unsigned code = 0, std::string_view reason = {});
Piece of_opcode(unsigned opcode, std::string payload = {}, bool fin = true);

Piece with_reserved_bits(unsigned bits, Piece piece);
Piece with_wrong_mask(Piece piece);
Piece with_key(std::string key, Piece piece);
/// The length in a form of 0, 2 or 8 more bytes.
Piece with_length_bytes(unsigned count, Piece piece);
/// Says that there is so much payload, and sends none.
Piece announcing(std::uint64_t length, Piece piece);
/// Sends no more than that of its payload.
Piece cut_off_at(std::size_t payload_bytes, Piece piece);

/// The message in frames of so many bytes each; at least one.
std::vector<Piece> in_frames(const Piece& message, std::size_t size);

/// How it ends, when all the answers are there.
struct Ending {
  enum class Kind : std::uint8_t { open, refused, closed, dropped };

  Kind kind = Kind::open;
  unsigned code = 0;
  std::string reason = {};
};

/// Not at all: the peer's CLOSE is the next thing that is answered.
Ending stays_open();
/// CLOSE with this code and any reason, then the end, whatever the peer does.
Ending refused(unsigned code);
/// Exactly this CLOSE, then the end. `code` 0: an empty body.
Ending closed(unsigned code, std::string reason = {});
/// The end without a CLOSE.
Ending dropped();

struct Row {
  std::string name;
  std::vector<Piece> sent = {};
  std::vector<Piece> answers = {};
  Ending ending = stays_open();
  std::size_t segment = 0;  ///< bytes that go out at once; 0: all
  bool half_close = false;  ///< the peer ends its output behind what it sends
};

/// Plays each row on a connection of its own. A row that goes wrong fails with its name.
void play_against_server(const std::vector<Row>& rows);
void play_against_client(const std::vector<Row>& rows);
void play_against_both(const std::vector<Row>& rows);

}  // namespace webshocket::test::script
