#include "common/yaml_document.hpp"

#include <yaml-cpp/eventhandler.h>

#include <exception>
#include <sstream>
#include <string_view>
#include <vector>

namespace lockstep {
namespace {

/// Watches a document go by, and stops the parser with an exception of its own where a limit is reached: before the
/// levels and nodes beyond it are made.
class Limits : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { leaf(mark, anchor); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, const std::string&) override {
    leaf(mark, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(mark, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(mark, anchor);
  }
  void OnMapEnd() override { end(); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // What contains itself would never be freed, and never end for whoever walks through it.
    for (const Open& open : open_) {
      if (open.anchor == anchor) throw YAML::ParserException(mark, "an alias stands inside of what it names");
    }
    count(mark, anchor < sizes_.size() ? sizes_[anchor] : 1);
  }

 private:
  struct Open {
    YAML::anchor_t anchor = 0;  ///< 0: none
    std::size_t before = 0;     ///< nodes when it began
  };

  void count(const YAML::Mark& mark, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > kMaxYamlNodes) {
      throw YAML::ParserException(mark, "more than " + std::to_string(kMaxYamlNodes) + " values");
    }
  }
  void leaf(const YAML::Mark& mark, YAML::anchor_t anchor) {
    count(mark, 1);
    note_size(anchor, 1);
  }
  void begin(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= kMaxYamlDepth) {
      throw YAML::ParserException(mark, "nested deeper than " + std::to_string(kMaxYamlDepth) + " levels");
    }
    open_.push_back({anchor, nodes_});
    count(mark, 1);
  }
  void end() {
    note_size(open_.back().anchor, nodes_ - open_.back().before);
    open_.pop_back();
  }
  /// Anchors are numbered from 1 in the order in which they come.
  void note_size(YAML::anchor_t anchor, std::size_t nodes) {
    if (anchor == 0) return;
    if (sizes_.size() <= anchor) sizes_.resize(anchor + 1, 1);
    sizes_[anchor] = nodes;
  }

  std::vector<Open> open_;
  std::vector<std::size_t> sizes_;  ///< by anchor
  std::size_t nodes_ = 0;
};

}  // namespace

Result<YAML::Node> load_yaml_document(const std::string& yaml, const std::string& name) {
  try {
    std::istringstream stream(yaml);
    YAML::Parser parser(stream);
    Limits limits;
    // Not YAML::LoadAll(): there are texts from which it takes one document after the other, and never comes to an end.
    if (!parser.HandleNextDocument(limits)) return YAML::Node();
    if (Limits more; parser.HandleNextDocument(more)) {
      return fail(ErrorCode::invalid, name, "holds more than one document (\"---\")");
    }
    return YAML::Load(yaml);
  } catch (const YAML::Exception& error) {
    const std::string line = error.mark.line >= 0 ? ":" + std::to_string(error.mark.line + 1) : "";
    return fail(ErrorCode::invalid, name + line, "not YAML: " + error.msg);
  } catch (const std::exception& error) {  // of the standard library's, out of yaml-cpp
    return fail(ErrorCode::invalid, name, std::string("not YAML: ") + error.what());
  }
}

}  // namespace lockstep
