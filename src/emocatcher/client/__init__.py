"""Call a server (`emocatcher serve`) with the standard library; the live stream needs the extra `serve`.

```python
from emocatcher.client import Client

client = Client("http://127.0.0.1:8000")
print(client.predict("voice.m4a").emotion)
```
"""

from emocatcher.client.http_client import Client

__all__ = ["Client"]
