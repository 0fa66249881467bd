import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.security.KeyStore;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;

/**
 * Behaves to its files as a WSO2 gateway does: it loads its truststore again when sslprofiles.xml has a modification
 * time strictly greater than the one it recorded, which it records before it loads; it does not trim; a truststore that
 * does not load leaves the old one in force. Unlike a gateway it looks every few milliseconds, not every minute.
 *
 * <p>java PollingGateway.java HOME HOST PORT: prints "loaded N entries" or "not loaded: why" after each look that finds
 * news, and after each of these "connected" or "refused: why", until it is killed.
 */
public final class PollingGateway {
    private static final String PROFILES = "repository/resources/security/sslprofiles.xml";

    public static void main(String[] args) throws Exception {
        File profiles = new File(args[0], PROFILES);
        SSLContext context = null;
        long recorded = -1;
        while (true) {
            long modified = profiles.lastModified();
            if (modified > recorded) {
                recorded = modified;
                try {
                    context = load(new File(args[0]), profiles);
                } catch (Exception error) {
                    System.out.println("not loaded: " + error);
                }
                System.out.println(attempt(context, args[1], Integer.parseInt(args[2])));
            }
            Thread.sleep(5);
        }
    }

    private static SSLContext load(File home, File profiles) throws Exception {
        Element root = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(profiles).getDocumentElement();
        Element store = (Element) root.getElementsByTagName("TrustStore").item(0);
        File location = new File(text(store, "Location"));
        KeyStore trusted = KeyStore.getInstance(text(store, "Type"));
        try (InputStream file = new FileInputStream(location.isAbsolute() ? location : new File(home, location.getPath()))) {
            trusted.load(file, text(store, "Password").toCharArray());
        }
        TrustManagerFactory anchors = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        anchors.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, anchors.getTrustManagers(), null);
        System.out.println("loaded " + trusted.size() + " entries");
        return context;
    }

    private static String text(Element parent, String name) {
        return parent.getElementsByTagName(name).item(0).getTextContent();
    }

    private static String attempt(SSLContext context, String host, int port) {
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(host, port)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.setSoTimeout(5000);
            socket.startHandshake();
            return "connected";
        } catch (IOException error) {
            return "refused: " + error.getMessage();
        }
    }

    private PollingGateway() {}
}
