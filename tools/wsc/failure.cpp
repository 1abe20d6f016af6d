#include "failure.hpp"

#include <webshocket/error.hpp>

#include <exception>

#include "session.hpp"
#include "words.hpp"

namespace wsc {

namespace ws = webshocket;

Failure failure_of_exception(const Printer& printer) {
  const auto failure = [&](Status status, std::string_view kind, const std::exception& error) {
    return Failure{status, printer.error(kind, error.what())};
  };
  try {
    throw;
  } catch (const ws::Cancelled&) {
    return {Status::interrupted, {}};
  } catch (const SyntaxError& error) {
    return failure(Status::usage, "usage", error);
  } catch (const ws::UsageError& error) {
    return failure(Status::usage, "usage", error);
  } catch (const ws::InvalidUriError& error) {
    return failure(Status::usage, "usage", error);
  } catch (const ws::PacketError& error) {
    return failure(Status::usage, "data", error);
  } catch (const ws::RpcError& error) {
    return {Status::refused, printer.error(error)};
  } catch (const ws::ConnectionFailedError& error) {
    return failure(Status::not_connected, "not_connected", error);
  } catch (const ws::ConnectionClosedError& error) {
    return failure(Status::lost, "lost", error);
  } catch (const ws::TimeoutError& error) {
    return failure(Status::timeout, "timeout", error);
  } catch (const Refused& error) {
    return failure(Status::refused, "refused", error);
  } catch (const ws::WebSocketError& error) {
    return failure(Status::refused, "refused", error);
  }
}

}  // namespace wsc
