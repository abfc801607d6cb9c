// Labels of published sets: classes, one-hot rows, probabilities, logits, or targets of a
// regression, as far as the numbers tell them apart.
#include <fmt/format.h>

#include "retort/core/error.h"
#include "synthetic/check.h"
#include "synthetic/import.h"

namespace retort::synthetic {
namespace {

// No published set has more classes.
constexpr int64_t kMostClasses = 100000;

bool is_one_hot(const at::Tensor& rows) {
  return (rows.eq(0) | rows.eq(1)).all().item<bool>() && rows.sum(1).eq(1).all().item<bool>();
}

/// Rows of learned numbers as soft labels of their kind.
void take_soft(Bundle& bundle, const at::Tensor& soft, const ImportedTable& table,
               const std::string& asked, std::vector<std::string>& notes, const std::string& path) {
  if (soft.dim() != 2 || soft.size(1) > kMostClasses || !soft.is_floating_point())
    refuse_import(path, "its soft labels are not of shape [M, K]");
  bundle.soft_labels = soft.to(at::kFloat).contiguous();
  const auto said = table.texts.find("soft_label_kind");
  if (asked == "auto" && said != table.texts.end() && said->second.size() == 1) {
    bundle.soft_label_kind = said->second[0];
    return;
  }
  if (asked == "targets") bundle.soft_label_kind = "targets";
  if (asked == "targets" || soft.numel() == 0) return;
  const std::string spread = spread_of(bundle.soft_labels);
  if (asked != "logits" && are_distributions(bundle.soft_labels)) return;
  if (asked == "logits" || (asked == "auto" && table.beside)) {
    bundle.soft_labels = at::softmax(bundle.soft_labels, 1);
    notes.push_back(asked == "logits"
                        ? "logits became probabilities by a softmax"
                        : "the labels are not probabilities (" + spread +
                              "): taken as logits, as DATM and DD-Ranking keep them, and brought "
                              "through a softmax (--labels says otherwise)");
    return;
  }
  refuse_import(path, "its labels are not probabilities: " + spread, "rows from 0 on that sum to 1",
                "give --labels logits to bring them through a softmax, or --labels targets where "
                "they are those of a regression, such as FRePo's");
}

}  // namespace

const std::vector<std::string>& import_labels() {
  static const std::vector<std::string> kinds = {"auto", "probabilities", "logits", "targets"};
  return kinds;
}

void read_labels(Bundle& bundle, ImportedTable& table, const std::string& kind,
                 const std::string& path) {
  at::Tensor labels = first_of(table, {"labels", "label", "targets", "y", "label_syn",
                                       "labels_train", "y_train", "labels_syn", "syn_labels"});
  at::Tensor soft = first_of(table, {"soft_labels", "soft_label"});
  if (labels.defined() && labels.dim() == 2 && labels.size(1) > 1) {
    if (labels.numel() > 0 && kind == "auto" && is_one_hot(labels)) {
      labels = labels.to(at::kFloat).argmax(1);
      table.notes.push_back("one-hot labels were read as classes");
    } else if (labels.is_floating_point()) {
      if (!soft.defined()) soft = labels;
      labels = at::Tensor();
    } else {
      refuse_import(path, fmt::format("its labels are whole numbers of shape [{}, {}], and not one "
                                      "1 in each row",
                                      labels.size(0), labels.size(1)));
    }
  }
  if (soft.defined()) {
    take_soft(bundle, soft, table, kind, table.notes, path);
    if (!labels.defined() && soft.numel() > 0) labels = bundle.soft_labels.argmax(1);
  }
  if (!labels.defined()) refuse_import(path, "it has no labels, " + names_in(table));
  if (labels.dim() == 2 && labels.size(1) == 1) labels = labels.squeeze(1);
  bundle.labels = labels.to(at::kLong).contiguous();
  if (labels.is_floating_point() && !at::equal(bundle.labels.to(labels.scalar_type()), labels))
    refuse_import(path, "its labels are not whole numbers");
}

}  // namespace retort::synthetic
