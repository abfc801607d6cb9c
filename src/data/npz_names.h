// What the name of an array says that it holds. No torch here.
#pragma once

#include <optional>
#include <string>

namespace retort::data {

enum class ArrayRole { kImages, kLabels, kClassNames };
enum class ArrayPart { kTrain, kTest, kValidation };

struct ArrayMeaning {
  ArrayRole role;
  ArrayPart part;
};

/// "X_train", "train_images", "data", "y", "val_labels", "class_names": a word for the role, and
/// for the part where it is not the training part, in any case and order.
std::optional<ArrayMeaning> meaning_of(const std::string& name);

/// The number of np.savez's own names, "arr_3".
std::optional<int> unnamed_array(const std::string& name);

}  // namespace retort::data
