#include "tests/support/script.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <string_view>
#include <utility>

#include <webshocket/client.hpp>
#include <webshocket/server.hpp>

#include "tests/support/raw_echo.hpp"
#include "tests/support/raw_server.hpp"
#include "tests/support/server_fixture.hpp"

namespace webshocket::test::script {
namespace {

template <class... What>
[[noreturn]] void complain(const What&... what) {
  std::ostringstream text;
  (text << ... << what);
  throw PeerError(text.str());
}

unsigned shortest_length_bytes(std::size_t size) { return size < 126 ? 0 : size < 65536 ? 2 : 8; }

void check_answer(const Frame& frame, const Piece& awaited, Subject subject) {
  Frame right;
  right.fin = true;
  right.opcode = awaited.frame.opcode;
  right.masked = subject == Subject::client;
  right.length_bytes = shortest_length_bytes(awaited.frame.payload.size());
  right.payload = awaited.frame.payload;
  right.key = frame.key;
  if (frame != right) complain("awaited ", right, ", got ", frame);
}

void check_refusal(const Close& close, unsigned code) {
  if (close.code != code) complain("awaited CLOSE ", code, ", got ", close);
  if (close.reason.empty() || close.reason.size() > 123) complain("a poor reason: ", close);
}

void check_end(RawPeer& peer) {
  if (peer.read_end() != RawPeer::End::fin) complain("the connection was reset");
}

void await_close(RawPeer& peer, const Close& awaited, Subject subject) {
  const Frame frame = peer.read_frame();
  check_answer(frame, close(awaited.code, awaited.reason), subject);
  // After both have said CLOSE the server hangs up first.
  if (subject == Subject::client) peer.half_close();
  check_end(peer);
}

void await_ending(RawPeer& peer, const Ending& ending, Subject subject) {
  switch (ending.kind) {
    case Ending::Kind::open:
      peer.send(close(1000, "the row's end").bytes(subject));
      return await_close(peer, {1000, "the row's end"}, subject);
    case Ending::Kind::refused:
      check_refusal(peer.read_close(), ending.code);
      return check_end(peer);
    case Ending::Kind::closed:
      return await_close(peer, {ending.code, ending.reason}, subject);
    case Ending::Kind::dropped:
      return check_end(peer);
  }
}

void send_in_segments(RawPeer& peer, std::string_view bytes, std::size_t segment) {
  if (segment == 0) segment = std::max<std::size_t>(bytes.size(), 1);
  for (std::size_t at = 0; at < bytes.size(); at += segment) peer.send(bytes.substr(at, segment));
}

void play(RawPeer& peer, const Row& row, Subject subject) {
  std::string bytes;
  for (const Piece& piece : row.sent) bytes += piece.bytes(subject);
  send_in_segments(peer, bytes, row.segment);
  if (row.half_close) peer.half_close();
  for (const Piece& awaited : row.answers) check_answer(peer.read_frame(), awaited, subject);
  await_ending(peer, row.ending, subject);
}

template <class Play>
void check_row(const Row& row, std::string_view subject, Play play_row) {
  std::string complaint;
  try {
    play_row();
  } catch (const std::exception& error) {
    complaint = error.what();
  }
  CHECK_MESSAGE(complaint.empty(), subject, ", ", row.name, ": ", complaint);
}

}  // namespace

// --- what is sent ------------------------------------------------------------------------------

std::string Piece::bytes(Subject subject) const {
  SentFrame sent = frame;
  if ((subject == Subject::server) == wrong_mask) sent.key.reset();
  std::string all = sent.bytes();
  if (payload_sent) all.resize(all.size() - frame.payload.size() + *payload_sent);
  return all;
}

Piece of_opcode(unsigned opcode, std::string payload, bool fin) {
  return {.frame = {.opcode = opcode, .payload = std::move(payload), .fin = fin}};
}

Piece text(std::string payload, bool fin) { return of_opcode(kText, std::move(payload), fin); }
Piece binary(std::string payload, bool fin) { return of_opcode(kBinary, std::move(payload), fin); }
Piece next(std::string payload, bool fin) {
  return of_opcode(kContinuation, std::move(payload), fin);
}
Piece ping(std::string payload) { return of_opcode(kPing, std::move(payload)); }
Piece pong(std::string payload) { return of_opcode(kPong, std::move(payload)); }
Piece close(unsigned code, std::string_view reason) {
  return of_opcode(kClose, close_body(code, reason));
}

Piece with_reserved_bits(unsigned bits, Piece piece) {
  piece.frame.rsv = bits;
  return piece;
}

Piece with_wrong_mask(Piece piece) {
  piece.wrong_mask = true;
  return piece;
}

Piece with_key(std::string key, Piece piece) {
  piece.frame.key = std::move(key);
  return piece;
}

Piece with_length_bytes(unsigned count, Piece piece) {
  piece.frame.length_bytes = count;
  return piece;
}

Piece announcing(std::uint64_t length, Piece piece) {
  piece.frame.length = length;
  return piece;
}

Piece cut_off_at(std::size_t payload_bytes, Piece piece) {
  piece.payload_sent = payload_bytes;
  return piece;
}

std::vector<Piece> in_frames(const Piece& message, std::size_t size) {
  std::vector<Piece> frames;
  const std::string& payload = message.frame.payload;
  std::size_t at = 0;
  do {
    const unsigned opcode = at == 0 ? message.frame.opcode : unsigned{kContinuation};
    frames.push_back(of_opcode(opcode, payload.substr(at, size), at + size >= payload.size()));
    at += size;
  } while (at < payload.size());
  return frames;
}

// --- how it ends -------------------------------------------------------------------------------

Ending stays_open() { return {}; }
Ending refused(unsigned code) { return {.kind = Ending::Kind::refused, .code = code}; }
Ending closed(unsigned code, std::string reason) {
  return {.kind = Ending::Kind::closed, .code = code, .reason = std::move(reason)};
}
Ending dropped() { return {.kind = Ending::Kind::dropped}; }

// --- playing -----------------------------------------------------------------------------------

void play_against_server(const std::vector<Row>& rows) {
  Config config;
  config.shards = 2;
  config.max_message = kMaxMessage;
  config.fragment_size = 0;
  const ServerFixture server(std::move(config), per_shard<RawEcho>());
  for (const Row& row : rows) {
    check_row(row, "the server", [&] {
      RawPeer peer = open_peer(server.port());
      play(peer, row, Subject::server);
    });
  }
}

void play_against_client(const std::vector<Row>& rows) {
  ClientConfig config;
  config.format = Format::raw;
  config.max_message = kMaxMessage;
  config.fragment_size = 0;
  config.on_receive = [](Client& client, const Packet& packet) { client.send(packet.data); };
  RawServer server;
  const ClientLoop loop;
  for (const Row& row : rows) {
    check_row(row, "the client", [&] {
      Client client(server.uri(), config, loop);
      auto opened = webshocket::test::play([&] { client.connect(); });
      RawPeer peer = server.accept_client();
      opened.get();
      play(peer, row, Subject::client);
    });
  }
}

void play_against_both(const std::vector<Row>& rows) {
  play_against_server(rows);
  play_against_client(rows);
}

}  // namespace webshocket::test::script
