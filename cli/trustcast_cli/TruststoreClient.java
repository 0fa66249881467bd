import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Proxy;
import java.net.URI;
import java.security.KeyStore;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Fetches a URL once with each truststore, as a gateway on a JVM would.
 *
 * <p>java TruststoreClient.java URL PASSWORD JKS… prints one line a file, in their order: "ok", or why not.
 */
public final class TruststoreClient {
    public static void main(String[] args) throws Exception {
        for (int i = 2; i < args.length; i++) {
            System.out.println(attempt(args[0], args[1].toCharArray(), args[i]));
        }
    }

    private static String attempt(String url, char[] password, String truststore) throws Exception {
        HttpsURLConnection connection = (HttpsURLConnection) URI.create(url).toURL().openConnection(Proxy.NO_PROXY);
        connection.setSSLSocketFactory(trusting(truststore, password).getSocketFactory());
        connection.setConnectTimeout(5000);
        connection.setReadTimeout(5000);
        try (InputStream body = connection.getInputStream()) {
            body.readAllBytes();
            return "ok";
        } catch (IOException error) {
            // The JDK puts the names of its own classes first and the reason last, with ": " between.
            String message = String.valueOf(error.getMessage());
            return message.substring(message.lastIndexOf(": ") + 1).strip();
        }
    }

    private static SSLContext trusting(String truststore, char[] password) throws Exception {
        KeyStore store = KeyStore.getInstance("JKS");
        try (InputStream file = new FileInputStream(truststore)) {
            store.load(file, password);
        }
        TrustManagerFactory anchors = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        anchors.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, anchors.getTrustManagers(), null);
        return context;
    }

    private TruststoreClient() {}
}
