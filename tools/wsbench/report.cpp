#include "report.hpp"

#include <webshocket/error.hpp>
#include <webshocket/packet.hpp>

#include <fstream>
#include <iterator>
#include <span>
#include <string_view>

#include "failure.hpp"
#include "message_template.hpp"
#include "page.hpp"

namespace wsbench {
namespace {

/// The text of a document that `--json` has written.
std::string read_document(const std::string& file) {
  std::ifstream in(file);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in.good() && text.empty()) throw Failure("cannot read " + file);
  try {
    const webshocket::Document document = webshocket::from_json(text);
    if (!(*document)["wsbench"].is_string() || !(*document)["cases"].is_array()) {
      throw Failure(file + " was not written by wsbench --json");
    }
  } catch (const webshocket::PacketError& error) {
    throw Failure(file + " is no JSON: " + error.what());
  }
  return text;
}

std::string escaped(std::string text) {
  text = replaced(std::move(text), "&", "&amp;");
  return replaced(replaced(std::move(text), "<", "&lt;"), ">", "&gt;");
}

}  // namespace

std::string report_page(const std::string& title, const std::vector<std::string>& files) {
  std::string documents;
  for (const std::string& file : files) {
    documents += (documents.empty() ? "" : ",\n") + read_document(file);
  }
  // Within a script element nothing may look like its end.
  documents = replaced(std::move(documents), "<", "\\u003c");
  std::string page(page_part("report.html"));
  page = replaced(std::move(page), "TITLE", escaped(title));
  page = replaced(std::move(page), "/*STYLE*/", page_part("report.css"));
  page = replaced(std::move(page), "/*SCRIPT*/", page_part("report.js"));
  return replaced(std::move(page), "/*DOCUMENTS*/", documents);
}

}  // namespace wsbench
