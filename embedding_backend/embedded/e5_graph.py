"""Build `e5.onnx`: the encoder's graph without its weights, which are handed to it when it is loaded.

    python -m embedding_backend.embedded.e5_graph

The graph is kept in the repository so that running needs no `onnx` package; a test builds it again and compares.
Matrix products are 8-bit (weights per output channel, activations per call), the rest float32.
"""

from typing import Any

import onnx
from onnx import TensorProto, helper

from embedding_backend.embedded.e5 import GRAPH

HIDDEN, LAYERS, HEADS, FEED_FORWARD = 384, 12, 12, 1536
EPSILON = 1e-12
_MICROSOFT = "com.microsoft"


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def node(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def weight(self, name: str, kind: int, *shape: int) -> str:
        tensor = onnx.TensorProto(name=name, data_type=kind, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="given-at-load")
        self.initializers.append(tensor)
        return name

    def linear(self, x: str, name: str, inputs: int, outputs: int) -> str:
        weights = [
            self.weight(f"{name}.w", TensorProto.INT8, inputs, outputs),
            self.weight(f"{name}.s", TensorProto.FLOAT, outputs),
            "",
            self.weight(f"{name}.b", TensorProto.FLOAT, outputs),
        ]
        return self.node("DynamicQuantizeMatMul", [x, *weights], f"{name}.y", _MICROSOFT)

    def add_and_norm(self, x: str, residual: str, name: str) -> str:
        scale = [self.weight(f"{name}.{part}", TensorProto.FLOAT, HIDDEN) for part in ("w", "b")]
        return self.node("SkipLayerNormalization", [x, residual, *scale], f"{name}.y", _MICROSOFT, epsilon=EPSILON)


def build() -> onnx.ModelProto:
    """Return the graph: `x` (batch, length, 384) float32 and `mask` (batch, length) int32 to `y` like `x`."""
    graph = _Graph()
    x = "x"
    for layer in range(LAYERS):
        p = f"l{layer}"
        qkv = [graph.linear(x, f"{p}.{part}", HIDDEN, HIDDEN) for part in "qkv"]
        attention = graph.node(
            "MultiHeadAttention",
            [*qkv, "", "mask"],
            f"{p}.attention",
            _MICROSOFT,
            num_heads=HEADS,
            mask_filter_value=-1e4,
        )
        x = graph.add_and_norm(graph.linear(attention, f"{p}.ao", HIDDEN, HIDDEN), x, f"{p}.aln")
        hidden = graph.node("Gelu", [graph.linear(x, f"{p}.fi", HIDDEN, FEED_FORWARD)], f"{p}.gelu", _MICROSOFT)
        x = graph.add_and_norm(graph.linear(hidden, f"{p}.fo", FEED_FORWARD, HIDDEN), x, f"{p}.oln")
    graph.node("Identity", [x], "y")
    shape = ["batch", "length"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "multilingual-e5-small",
            [
                helper.make_tensor_value_info("x", TensorProto.FLOAT, [*shape, HIDDEN]),
                helper.make_tensor_value_info("mask", TensorProto.INT32, shape),
            ],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*shape, HIDDEN])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(_MICROSOFT, 1)],
        producer_name="pincite",
    )
    model.ir_version = 9
    return model


def serialised() -> bytes:
    """Return the bytes that `e5.onnx` must hold."""
    content: bytes = build().SerializeToString(deterministic=True)
    return content


if __name__ == "__main__":
    GRAPH.write_bytes(serialised())
