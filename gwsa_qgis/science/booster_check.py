"""Check the bytes of a booster before XGBoost sees them: its own reader trusts them and may crash the program."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import InvalidModelFile
from gwsa_qgis.science.ubjson import parse_ubjson

NODE_ARRAYS = (
    "base_weights",
    "default_left",
    "left_children",
    "loss_changes",
    "parents",
    "right_children",
    "split_conditions",
    "split_indices",
    "split_type",
    "sum_hessian",
)
NO_PARENT = 2**31 - 1
CATEGORY_ARRAYS = ("categories", "categories_nodes", "categories_segments", "categories_sizes")


def check_booster(data: bytes) -> int:
    """Raise `InvalidModelFile` unless the bytes hold trees for one numeric target that fit together.

    Returns
    -------
    int
        Number of inputs.
    """
    document = parse_ubjson(data)
    try:
        learner = document["learner"]
        inputs = int(learner["learner_model_param"]["num_feature"])
        _require(int(learner["learner_model_param"].get("num_target", 1)) == 1, "it has several targets")
        _require(int(learner["learner_model_param"]["num_class"]) == 0, "it is a classifier")
        _require(learner["objective"]["name"] == "reg:squarederror", "its objective is another")
        _require(learner["gradient_booster"]["name"] == "gbtree", "it has no trees")
        _require(not len(learner["feature_types"]) and 0 < inputs < 100_000, "its inputs are odd")
        model = learner["gradient_booster"]["model"]
        trees = model["trees"]
        _require(isinstance(trees, list) and len(trees) == int(model["gbtree_model_param"]["num_trees"]), "trees lack")
        groups, rounds = np.asarray(model["tree_info"], int), np.asarray(model["iteration_indptr"], int)
        _require(groups.size == len(trees) and not groups.any(), "its groups of trees are odd")
        _require(rounds[0] == 0 and rounds[-1] == len(trees) and (np.diff(rounds) >= 0).all(), "its rounds are odd")
        for tree in trees:
            _check_tree(tree, inputs)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise _invalid(f"{type(error).__name__} {str(error)[:60]}") from error
    return inputs


def _check_tree(tree: dict, inputs: int) -> None:
    parameters = tree["tree_param"]
    nodes = int(parameters["num_nodes"])
    arrays = {name: np.asarray(tree[name]) for name in NODE_ARRAYS}
    _require(nodes > 0 and all(a.shape == (nodes,) for a in arrays.values()), "a tree's nodes do not agree")
    _require(int(parameters["num_feature"]) == inputs, "a tree's inputs do not agree")
    _require(int(parameters["size_leaf_vector"]) <= 1, "a tree has vector leaves")
    _require(not any(len(tree[name]) for name in CATEGORY_ARRAYS), "a tree splits by categories")
    _require(not arrays["split_type"].any(), "a tree splits by categories")
    left, right = arrays["left_children"].astype(int), arrays["right_children"].astype(int)
    inner = left != -1
    here = np.arange(nodes)
    _require(((right != -1) == inner).all(), "a node has one child")
    # A child stands behind its parent, so that no path runs in a circle.
    for child in (left[inner], right[inner]):
        _require(((child > here[inner]) & (child < nodes)).all(), "a node's child is not in its tree")
    # XGBoost follows parents without looking where they lead: all nodes hang on the first one, each by one branch.
    _require(int(parameters.get("num_deleted", 0)) == 0, "a tree has deleted nodes")
    parents = np.full(nodes, -1)
    parents[left[inner]], parents[right[inner]] = here[inner], here[inner]
    branches = np.concatenate([left[inner], right[inner]])
    _require(branches.size == nodes - 1 == np.unique(branches).size, "a tree's nodes do not hang together")
    found = arrays["parents"].astype(np.int64)
    _require(found[0] == NO_PARENT and (found[1:] == parents[1:]).all(), "a node has another parent than it says")
    split = arrays["split_indices"].astype(int)[inner]
    _require(((split >= 0) & (split < inputs)).all(), "a node splits by an input that is not there")


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise _invalid(problem)


def _invalid(problem: str) -> InvalidModelFile:
    return InvalidModelFile(
        f"a booster in the model file does not hold together ({problem})",
        "train the model again or fetch the file again",
    )
